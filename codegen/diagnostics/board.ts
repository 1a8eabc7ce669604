import type { Diagnostic } from './catalog.js';

/** EM400x: boards.json and addresses. EM401x: SSH. EM402x: serial consoles. EM403x: what happens on the board. EM404x: reports. */
export const boardDiagnostics = {
  EM4001: {
    what: 'boards.json cannot be used',
    fix: 'correct the value shown; schemas/boards.schema.json describes all of them, docs/boards.md shows examples',
    exit: 2,
  },
  EM4002: {
    what: 'no board of that name',
    fix: 'run embed-model boards list, add the board with embed-model boards scan, or give --ssh or --serial',
    exit: 2,
  },
  EM4003: {
    what: 'address of a board cannot be understood',
    fix: 'write --ssh USER@HOST:PORT or --serial /dev/ttyUSB0@115200',
    exit: 2,
  },
  EM4004: {
    what: 'no bundle for a board',
    fix: 'give one bundle for every target of the boards, and name the target of each board in boards.json',
    exit: 2,
  },
  EM4005: {
    what: 'labgrid place cannot be used',
    fix: 'check LG_COORDINATOR and what the place exports: labgrid-client -p PLACE show',
    exit: 3,
  },
  EM4010: {
    what: 'board cannot be reached',
    fix: 'check that it is on, that address and port are right, and that an SSH server runs there',
    exit: 3,
  },
  EM4011: {
    what: 'board refused the login',
    fix: 'give --identity FILE, load the key into the agent, or name a password variable in boards.json (passwordEnv)',
    exit: 3,
  },
  EM4012: {
    what: 'host key of the board is not known',
    fix: 'compare the fingerprint with the one the board shows, then use --accept-new, or pin it in boards.json',
    exit: 3,
  },
  EM4013: {
    what: 'host key of the board is another one than before, or revoked',
    fix: 'find out why; if the board was set up anew, remove its old line from known_hosts: ssh-keygen -R HOST',
    exit: 3,
  },
  EM4014: {
    what: 'connection to the board was lost',
    fix: 'run the command again: an upload goes on where it stopped',
    exit: 3,
  },
  EM4015: {
    what: 'SSH setting or key file cannot be used',
    fix: 'check the file shown; a key with a passphrase has to be loaded into the agent: ssh-add FILE',
    exit: 2,
  },
  EM4020: {
    what: 'serial port cannot be opened',
    fix: 'check the cable and the name (embed-model boards scan), close what else has it open, join the group dialout',
    exit: 3,
  },
  EM4021: {
    what: 'no shell on the serial console',
    fix: 'check the baud rate, give --login USER, and name the password variable in boards.json (passwordEnv)',
    exit: 3,
  },
  EM4022: {
    what: 'serial line loses or changes too much',
    fix: 'check cable and ground, use a lower baud rate, quiet the kernel with dmesg -n 1 on the board',
    exit: 3,
  },
  EM4023: {
    what: 'upload over the serial line would take long',
    fix: 'use SSH, a higher baud rate or a smaller model; or wait: --allow-slow',
    exit: 2,
  },
  EM4024: {
    what: 'file transfer over the serial line failed',
    fix: 'see that loadx, loady, rx or rb waits on the board and that nothing else writes to its console',
    exit: 3,
  },
  EM4025: {
    what: 'bundle holds no image that U-Boot starts',
    fix: 'build it with --bare-metal virt-aarch64-uboot or virt-riscv64-uboot',
    exit: 2,
  },
  EM4026: {
    what: 'board is left in U-Boot, which has no system for this',
    fix: 'use embed-model deploy with a bundle of --bare-metal; or boot its system and take uboot out of boards.json',
    exit: 2,
  },
  EM4030: {
    what: 'board is locked',
    fix: 'wait with --wait 10m; if its owner is gone for good: embed-model boards unlock --force',
    exit: 4,
  },
  EM4031: {
    what: 'board lacks a program that is needed there',
    fix: 'install what is shown on the board; busybox has all of it',
    exit: 3,
  },
  EM4032: {
    what: 'board cannot run programs of the target',
    fix: 'build the bundle for the target of this board: embed-model targets',
    exit: 3,
  },
  EM4033: {
    what: 'folder on the board cannot be written',
    fix: 'make room or set permissions on the board, or choose another folder in boards.json',
    exit: 3,
  },
  EM4034: {
    what: 'file on the board is not what was sent',
    fix: 'run the command again; if it happens again, check memory and storage of the board',
    exit: 3,
  },
  EM4035: {
    what: 'board did not finish in time',
    fix: 'raise the limit in boards.json (timeouts), or look at the board for what keeps it busy',
    exit: 3,
  },
  EM4036: {
    what: 'board restarted in the middle of the work',
    fix: 'check its power supply and its kernel log, then run the command again',
    exit: 3,
  },
  EM4037: {
    what: 'bundle was not accepted when it was built',
    fix: 'build one that passes (embed-model eval says how far it is off), or use --force',
    exit: 1,
  },
  EM4038: {
    what: 'command on the board failed',
    fix: 'run the command shown on the board to see more',
    exit: 3,
  },
  EM4039: {
    what: 'bundle was not installed: it does not answer its golden prompts there',
    fix: 'check memory and storage of the board; the release that was current before still is',
    exit: 1,
  },
  EM4041: {
    what: 'not a result that can be reported',
    fix: 'give files that build, run, bench or deploy wrote with --json',
    exit: 2,
  },
} as const satisfies Record<`EM4${string}`, Diagnostic>;
