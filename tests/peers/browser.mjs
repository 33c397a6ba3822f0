// Follows an invitation in Chromium as an iPhone, as an Android phone and as a desktop, and prints for each where that led and what it
// brought. Nothing leaves the machine: every other host is unknown.
// usage: node browser.mjs BASE TOKEN PORT     PORT: where the link's destination on localhost is to be served
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, join } from 'node:path';
import { chromium, devices } from 'playwright-core';
import { arguments_, limitTime, print } from './arguments.mjs';

const [base, token, port] = arguments_('BASE', 'TOKEN', 'PORT');
process.env.PEER_TIMEOUT_MS ??= '90000';
limitTime();

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const places = [
  ...(process.env.PATH ?? '').split(delimiter).flatMap((folder) => names.map((name) => join(folder, name))),
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const executablePath = places.find((place) => existsSync(place));
if (!executablePath) {
  console.error('Chromium is missing: ./dev test installs it');
  process.exit(69);
}
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
});

/** A page as a device shows it, with the addresses that it was navigated to. */
async function visit(device) {
  const context = await browser.newContext(device);
  const page = await context.newPage();
  const addresses = [];
  page.on('request', (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) addresses.push(request.url());
  });
  return { context, page, addresses };
}

/** Goes somewhere, or to where that leads; a store's host is unknown here, and that ends it. */
const go = (page, address) => page.goto(address).catch(() => undefined);

async function android() {
  const { context, page, addresses } = await visit(devices['Pixel 7']);
  await go(page, `${base}/invite/${token}`);
  await print({ device: 'android', leads_to: addresses.at(-1) });
  await context.close();
}

async function iphone() {
  const { context, page, addresses } = await visit(devices['iPhone 15']);
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: base });
  await go(page, `${base}/invite/${token}`);
  const heading = await page.textContent('h1');
  const store = page.waitForRequest((request) => request.url().startsWith('https://apps.apple.com/'));
  await page.tap('#get');
  await store;
  const other = await context.newPage();
  await other.goto(`${base}/healthz`);
  await other.bringToFront();
  const clipboard = await other.evaluate(() => navigator.clipboard.readText());
  await print({ device: 'iphone', heading, leads_to: addresses.at(-1), clipboard });
  await context.close();
}

async function desktop() {
  const html = `<!doctype html><title>Shop</title><form><input name="gv_click"></form><script src="${base}/gv.js" defer></script>`;
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(html));
  await new Promise((resolve) => server.listen(Number(port), 'localhost', resolve));
  const { context, page } = await visit(devices['Desktop Chrome']); // its own user agent says that nobody looks at it
  await page.goto(`${base}/invite/${token}`);
  const leads_to = page.url();
  const field = await page.inputValue('input[name=gv_click]');
  // Days later, on a page without any parameter.
  await page.goto(`http://localhost:${port}/checkout`);
  const kept = await page.evaluate(() => window.grapevine);
  const cookies = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  await print({ device: 'desktop', leads_to, field, kept, cookies });
  await context.close();
  server.close();
}

await android();
await iphone();
await desktop();
await browser.close();
process.exit();
