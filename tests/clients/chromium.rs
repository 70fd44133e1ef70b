//! A real browser without a window, driven by chromedriver (W3C, "`WebDriver`").

use crate::support::server::Server;
use crate::support::{LIMIT, run};
use crate::world::{World, contained};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// The key of an element's id (W3C, "`WebDriver`", section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser whose traffic goes to the simulator, and who trusts it.
pub(crate) struct Chromium {
    session: String,
    client: Client,
    runtime: Runtime,
    _server: Server,
}

impl Chromium {
    /// Starts it, with a folder of its own for all it writes.
    pub(crate) fn start(world: &World) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = world.home.path("chromium");
        let store = folder.join(".pki/nssdb");
        std::fs::create_dir_all(&store).expect("our folder");
        let store = format!("sql:{}", store.display());
        let ca = world.home.path("ca.pem").display().to_string();
        for args in [
            &["-N", "--empty-password"][..],
            &["-A", "-n", "simulator", "-t", "C,,", "-i", &ca],
        ] {
            let mut certutil = world.home.command("certutil");
            certutil.args(["-d", &store]).args(args);
            run(certutil, "", LIMIT).succeeds();
        }
        let mut command = contained(&world.home, "chromedriver");
        command
            .arg("--port=0")
            .env("HOME", &folder)
            .env("XDG_CONFIG_HOME", folder.join("config"));
        let mut server = Server::start(&mut command, folder.join("log"));
        let port = server.when("chromedriver", |log| {
            let (_, rest) = log.split_once("started successfully on port ")?;
            rest.split_once('.')?.0.parse::<u16>().ok()
        });
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = Client::builder().no_proxy().build().expect("a client");
        let session = format!("http://127.0.0.1:{port}/session");
        let mut chromium = Self {
            session,
            client,
            runtime,
            _server: server,
        };
        let args = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", folder.join("data").display()),
            format!("--proxy-server={}", world.simulator.origin()),
        ];
        let options = json!({"binary": "/usr/bin/chromium", "args": args});
        let answer = chromium.ask(
            Method::POST,
            "",
            Some(&json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}})),
        );
        chromium.session = format!(
            "{}/{}",
            chromium.session,
            answer["sessionId"].as_str().expect("a session")
        );
        chromium
    }

    /// Opens a page.
    pub(crate) fn open(&self, address: &str) {
        self.ask(Method::POST, "/url", Some(&json!({"url": address})));
    }

    /// Presses the button of this id.
    pub(crate) fn press(&self, id: &str) {
        self.ask(
            Method::POST,
            &format!("/element/{}/click", self.element(id)),
            Some(&json!({})),
        );
    }

    /// Types into the field of this id.
    pub(crate) fn type_into(&self, id: &str, text: &str) {
        self.ask(
            Method::POST,
            &format!("/element/{}/value", self.element(id)),
            Some(&json!({"text": text})),
        );
    }

    /// Waits for the page with this heading: after a click the browser shows the page before, and then none, for a while.
    #[track_caller]
    pub(crate) fn shows(&self, heading: &str) {
        let mut shown = Err("nothing yet".to_owned());
        let end = Instant::now() + LIMIT;
        while shown.as_deref() != Ok(heading) {
            assert!(Instant::now() < end, "no page `{heading}`, but {shown:?}");
            std::thread::sleep(Duration::from_millis(50));
            shown = self.read("h1");
        }
    }

    /// What somebody reads in the first of these elements.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        self.read(selector)
            .unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Closes the window, as people do.
    pub(crate) fn close(self) {
        self.ask(Method::DELETE, "/window", None);
    }

    #[track_caller]
    fn element(&self, id: &str) -> String {
        self.found(&format!("#{id}"))
            .unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    fn found(&self, selector: &str) -> Result<String, String> {
        let found = self.try_ask(
            Method::POST,
            "/element",
            Some(&json!({"using": "css selector", "value": selector})),
        )?;
        Ok(found[ELEMENT].as_str().expect("an element").to_owned())
    }

    fn read(&self, selector: &str) -> Result<String, String> {
        let text = self.try_ask(
            Method::GET,
            &format!("/element/{}/text", self.found(selector)?),
            None,
        )?;
        Ok(text.as_str().expect("a text").to_owned())
    }

    #[track_caller]
    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        self.try_ask(method, path, body)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What chromedriver answers, or the word for what it cannot do.
    fn try_ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answered = self
            .runtime
            .block_on(async { request.send().await?.bytes().await });
        let answer: Value =
            serde_json::from_slice(&answered.expect("chromedriver")).expect("its JSON");
        match answer["value"]["error"].as_str() {
            Some(_) => Err(format!("{:#}", answer["value"])),
            None => Ok(answer["value"].clone()),
        }
    }
}
