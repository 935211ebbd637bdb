//! A headless Chromium, driven over the WebDriver protocol (W3C) by curl.

use super::{Scratch, free_port, run, wait_for};
use keyway::wire::json::quoted;
use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A browser with one window. It ends with its owner.
pub struct Browser {
    driver: Child,
    session: String,
    _profile: Scratch,
}

/// The name that the protocol gives to references of elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// A browser that takes certificates which vouch for themselves.
    pub fn start() -> Browser {
        let (port, profile) = (free_port(), Scratch::new());
        let log = File::create(profile.file("driver.log")).unwrap();
        let mut command = Command::new("chromedriver");
        command
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let driver = command
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver (see the README for what tests need): {error}"));
        let mut browser =
            Browser { driver, session: format!("http://127.0.0.1:{port}/session"), _profile: profile };
        wait_for("chromedriver", || TcpStream::connect(("127.0.0.1", port)).ok());
        let folder = browser._profile.file("profile");
        let options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--window-size=900,1100",
            &format!("--user-data-dir={folder}"),
        ];
        let options = options.map(|option| format!("{option:?}")).join(",");
        let answer = browser.post(
            "",
            &format!(
                r#"{{"capabilities":{{"alwaysMatch":{{"acceptInsecureCerts":true,"goog:chromeOptions":{{"args":[{options}]}}}}}}}}"#
            ),
        );
        let id = text_after(&answer, r#""sessionId":""#);
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    pub fn open(&self, url: &str) {
        self.post("/url", &format!(r#"{{"url":{}}}"#, quoted(url)));
    }

    /// Types into the element, or names a file to an element for files.
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/value"), &format!(r#"{{"text":{}}}"#, quoted(text)));
    }

    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), "{}");
    }

    /// The text that is shown in the element.
    pub fn text(&self, selector: &str) -> String {
        let element = self.element(selector);
        let answer =
            run("curl", ["-sS", "--fail-with-body", &format!("{}/element/{element}/text", self.session)]);
        text_after(&answer, r#""value":""#)
    }

    /// Writes a picture of the page (PNG).
    pub fn screenshot(&self, path: &str) {
        let answer = run("curl", ["-sS", "--fail-with-body", &format!("{}/screenshot", self.session)]);
        let picture = openssl::base64::decode_block(&text_after(&answer, r#""value":""#)).unwrap();
        std::fs::write(path, picture).unwrap();
    }

    fn element(&self, selector: &str) -> String {
        let answer =
            self.post("/element", &format!(r#"{{"using":"css selector","value":{}}}"#, quoted(selector)));
        text_after(&answer, &format!(r#""{ELEMENT}":""#))
    }

    fn post(&self, path: &str, json: &str) -> String {
        let url = format!("{}{path}", self.session);
        run("curl", ["-sS", "--fail-with-body", "-H", "Content-Type: application/json", "-d", json, &url])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        let _ = Command::new("curl").args(["-sS", "-X", "DELETE", &self.session]).output();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The text from these words up to the next quotation mark.
fn text_after(answer: &str, words: &str) -> String {
    let (_, rest) = answer.split_once(words).unwrap_or_else(|| panic!("{words} in {answer}"));
    rest.split('"').next().unwrap().to_owned()
}
