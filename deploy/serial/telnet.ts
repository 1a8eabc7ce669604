/**
 * The part of Telnet (RFC 854) and of its COM port option (RFC 2217) that a serial port behind a network needs: data as it is, the
 * speed of the line, and a polite no to everything else.
 */

const [SE, SB, WILL, WONT, DO, DONT, IAC] = [240, 250, 251, 252, 253, 254, 255];
const [BINARY, SUPPRESS_GO_AHEAD, COM_PORT] = [0, 3, 44];
/** Commands of a client to the COM port option. */
const [SET_BAUDRATE, SET_DATASIZE, SET_PARITY, SET_STOPSIZE, SET_CONTROL] = [1, 2, 3, 4, 5];

/** What a client says first: eight bits both ways, no turns, and that it will set the line. */
export const telnetGreeting = Buffer.from([
  ...[IAC, WILL, BINARY, IAC, DO, BINARY],
  ...[IAC, DO, SUPPRESS_GO_AHEAD, IAC, WILL, COM_PORT],
]);

/** Data for the other side: a byte 255 is written twice. */
export function escapeTelnet(bytes: Buffer): Buffer {
  if (!bytes.includes(IAC)) return bytes;
  return Buffer.from([...bytes].flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte])));
}

/** So many bits a second, 8 data bits, no parity, one stop bit, no flow control. */
function lineSettings(baud: number): Buffer {
  const rate = Buffer.alloc(4);
  rate.writeUInt32BE(baud);
  const command = (code: number, value: Buffer) =>
    Buffer.concat([Buffer.from([IAC, SB, COM_PORT, code]), escapeTelnet(value), Buffer.from([IAC, SE])]);
  return Buffer.concat([
    command(SET_BAUDRATE, rate),
    command(SET_DATASIZE, Buffer.of(8)),
    command(SET_PARITY, Buffer.of(1)),
    command(SET_STOPSIZE, Buffer.of(1)),
    command(SET_CONTROL, Buffer.of(1)),
  ]);
}

/** Takes the commands out of what the other side sends, and answers them. */
export class TelnetDecoder {
  private state: 'data' | 'command' | 'option' | 'inside' | 'insideCommand' = 'data';
  private verb = 0;

  constructor(
    private readonly baud: number,
    private readonly answer: (bytes: Buffer) => void,
  ) {}

  /** The data in a piece of the stream; commands may be cut anywhere. */
  push(chunk: Buffer): Buffer {
    const data: number[] = [];
    for (const byte of chunk) {
      if (this.state === 'data') {
        if (byte === IAC) this.state = 'command';
        else data.push(byte);
      } else if (this.state === 'command') this.command(byte, data);
      else if (this.state === 'option') {
        this.state = 'data';
        this.negotiate(byte);
      } else if (this.state === 'inside') {
        if (byte === IAC) this.state = 'insideCommand';
      } else this.state = byte === SE ? 'data' : 'inside';
    }
    return Buffer.from(data);
  }

  private command(byte: number, data: number[]): void {
    this.state = 'data';
    if (byte === IAC) data.push(IAC);
    else if (byte === SB) this.state = 'inside';
    else if (byte >= WILL && byte <= DONT) {
      this.verb = byte;
      this.state = 'option';
    }
  }

  /** What was asked for in the greeting needs no answer; anything else is declined. */
  private negotiate(option: number): void {
    const ours = option === BINARY || option === SUPPRESS_GO_AHEAD || option === COM_PORT;
    if (this.verb === DO && option === COM_PORT) this.answer(lineSettings(this.baud));
    else if (this.verb === DO && !ours) this.answer(Buffer.of(IAC, WONT, option));
    else if (this.verb === WILL && !ours) this.answer(Buffer.of(IAC, DONT, option));
    else if (this.verb === DO && option === SUPPRESS_GO_AHEAD) this.answer(Buffer.of(IAC, WILL, option));
  }
}
