/** How to install Debian packages; elsewhere, their names still say what is missing. */
export function installCommand(
  packages: readonly string[],
  platform: NodeJS.Platform = process.platform,
): string {
  const command = `sudo apt-get install ${packages.join(' ')}`;
  return platform === 'linux' ? command : `on Debian: ${command}`;
}
