// Firefox, driven by puppeteer-core (WebDriver BiDi).
//
//   node firefox_program.mjs FIREFOX NODE_MODULES NODE_URL TEACHER_TOKEN SCHOOL_TOKEN
//
// Prints a line for each thing that was seen to work.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [executablePath, modules, url, teacher, school] = process.argv.slice(2);
const entry = createRequire(`${modules}/x.js`).resolve("puppeteer-core");
const { default: puppeteer } = await import(pathToFileURL(entry).href);

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: {
    "media.navigator.streams.fake": true,
    "media.navigator.permission.disabled": true,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": false,
  },
});
let code = 0;
try {
  const page = await browser.newPage();
  await page.goto(`${url}/join/firefox`);
  await page.evaluate(readFileSync(new URL("./firefox_page.js", import.meta.url), "utf8"));
  const run = (name, ...more) =>
    page.evaluate((call, values) => window.lesson[call](...values), name, more);
  await run("teach", `${url}/firefox/whip`, teacher);
  console.log("connect");
  await run("published");
  console.log("publish");
  await run("watch", `${url}/firefox/whep`, school);
  console.log("subscribe");
  await run("say", "hello");
  console.log("data");
  await run("layers");
  console.log("simulcast");
  await run("restart");
  console.log("resume");
} catch (error) {
  console.error(error.message.split("\n")[0]);
  code = 1;
} finally {
  await browser.close();
}
process.exit(code);
