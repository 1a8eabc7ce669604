/** A board as data: what boards.json and the command line say of it, with the defaults filled in. */

export interface SshSettings {
  /** Host name, address, or a Host alias of ssh_config. */
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
  /** Private key file. */
  readonly identity?: string;
  /** Environment variable that holds the password. */
  readonly passwordEnv?: string;
  readonly knownHosts?: string;
  /** SHA256:... of the host key: then no known_hosts file is asked. */
  readonly fingerprint?: string;
  /** [USER@]HOST[:PORT] or alias. */
  readonly jump?: string;
  /** ssh_config file instead of ~/.ssh/config. */
  readonly config?: string;
}

/** A board that is left in U-Boot, and gets its program over the serial line. */
export interface UBootSettings {
  /** YMODEM, or XMODEM with blocks of 1024 bytes; loady where it is not given. */
  readonly loader?: 'loady' | 'loadx';
  /** go, or bootm for boards where go never comes back from emptying its UART; go where it is not given. */
  readonly start?: 'go' | 'bootm';
  /** Regular expression for the end of the prompt. */
  readonly prompt?: string;
}

export interface SerialSettings {
  /** Device; best by its stable name below /dev/serial/by-id. */
  readonly port: string;
  /** Bits a second; 115200 where it is not given. */
  readonly baud?: number;
  readonly login?: string;
  /** Environment variable that holds the password. */
  readonly passwordEnv?: string;
  /** Regular expression for the end of the prompt. */
  readonly prompt?: string;
  /** How bundles get there: chunks of the script on the board, or its receiver (rb, rx); chunks where it is not given. */
  readonly upload?: 'chunks' | 'ymodem';
  readonly uboot?: UBootSettings;
}

/** A place of a labgrid farm: who exports it says where it is reached. */
export interface LabgridSettings
  extends Pick<SshSettings, 'user' | 'identity' | 'passwordEnv' | 'knownHosts' | 'fingerprint' | 'config'>,
    Pick<SerialSettings, 'login' | 'prompt'> {
  readonly place: string;
  /** HOST:PORT; LG_COORDINATOR where it is not given. */
  readonly coordinator?: string;
}

/** Time limits of the stages, in seconds. */
export interface StageLimits {
  /** Until somebody is logged in. */
  readonly connect: number;
  /** One small command, such as a look at /proc. */
  readonly command: number;
  /** The upload of one bundle. */
  readonly upload: number;
  /** One run of the program. */
  readonly run: number;
}

export const defaultLimits: StageLimits = { connect: 20, command: 30, upload: 3600, run: 3600 };

/** An entry of boards.json as it stands there. */
export interface BoardEntry {
  readonly name: string;
  readonly target?: string;
  readonly ssh?: SshSettings;
  readonly serial?: SerialSettings;
  readonly labgrid?: LabgridSettings;
  readonly folder?: string;
  readonly keepBytes?: number;
  readonly features?: readonly string[];
  readonly emulated?: boolean;
  readonly timeouts?: Partial<StageLimits>;
  readonly notes?: string;
}

/** A board with its one transport. */
export interface Board {
  readonly name: string;
  /** Name of its target; null: not said. */
  readonly target: string | null;
  readonly transport:
    | { readonly kind: 'ssh'; readonly ssh: SshSettings }
    | { readonly kind: 'serial'; readonly serial: SerialSettings }
    | { readonly kind: 'labgrid'; readonly labgrid: LabgridSettings };
  /** On the board, for bundles and the lock; ~/ is the home folder of who logs in. */
  readonly folder: string;
  /** Bytes of bundles that may stay on the board, the newest first; the one in use always stays. */
  readonly keepBytes: number;
  readonly features: readonly string[];
  readonly emulated: boolean;
  readonly limits: StageLimits;
}

const defaultFolder = '~/.cache/embed-model';
const defaultKeepBytes = 500e6;

/** Fills in what the entry leaves open. The entry must have a transport; SSH goes first, then a serial console, then labgrid. */
export function boardOf(entry: BoardEntry): Board {
  const { name, ssh, serial, labgrid } = entry;
  const transport =
    ssh !== undefined
      ? ({ kind: 'ssh', ssh } as const)
      : serial !== undefined
        ? ({ kind: 'serial', serial } as const)
        : ({ kind: 'labgrid', labgrid: labgrid! } as const);
  return {
    name,
    target: entry.target ?? null,
    transport,
    folder: entry.folder ?? defaultFolder,
    keepBytes: entry.keepBytes ?? defaultKeepBytes,
    features: entry.features ?? [],
    emulated: entry.emulated ?? false,
    limits: { ...defaultLimits, ...entry.timeouts },
  };
}
