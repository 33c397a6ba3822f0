// What every peer script is told on its command line, and how it ends: JSON on standard output, 0 when it did what was asked.

/** The arguments after the script's name; a missing one ends the script with what it expects. */
export function arguments_(...names) {
  const values = process.argv.slice(2);
  if (values.length < names.length) {
    console.error(`usage: ${process.argv[1]} ${names.join(' ')}`);
    process.exit(64);
  }
  return values;
}

/** Ends the script with exit code 2 if it takes longer than it may. */
export function limitTime() {
  const milliseconds = Number(process.env.PEER_TIMEOUT_MS ?? 20_000);
  setTimeout(() => {
    console.error(`no end after ${milliseconds} ms`);
    process.exit(2);
  }, milliseconds).unref();
}

/** Writes one line of JSON and waits until it is out, so that an exit loses none. */
export function print(value) {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(value)}\n`, resolve));
}
