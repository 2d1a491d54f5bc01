//! The other end: requests of the command line to Restate, over its ingress.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    error::RemoteError,
    pruned::PrunedRun,
    replica::ReadPosition,
    stuck::plain,
    substrate::values_of,
    wire::{Done, Driving, GaveUp, Order, Pages},
};
use windlass_ground::Timestamp;
use windlass_journal::{Event, Link, Message, Record, RunId, State, Vault, Via, fold, open_links};
use windlass_world::{
    outside::{BodyError, Proxies, by_proxy, read_answer, read_authorities},
    value::{Digest, Value},
};

/// A shared handler answers at once, so after a minute there must be no worker.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest answer in bytes: a list of all runs, or pages of the events of one.
const LARGEST: usize = 256 << 20;

/// How long a driver takes at most to cancel its attempts.
const HEARING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// How long a worker may take to say which identity it has.
const COMPARING: Duration = Duration::from_secs(3);

/// The addresses of a Restate server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address of its ingress.
    pub url: String,
    /// The address of its admin API.
    pub admin: String,
    /// Headers that are sent with each request, for a proxy that authenticates the caller.
    pub headers: BTreeMap<String, String>,
    /// A PEM file with certificates to trust in addition to those of the system.
    pub ca: Option<PathBuf>,
}

/// A client of Restate. Blocks.
pub struct Remote {
    pub(super) address: Address,
    pub(super) client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    vault: Vault,
    /// Whether a worker is known to have the same identity.
    has_compared: AtomicBool,
}

impl Remote {
    /// Creates the client for an address; `state` is the folder with the identity of sealed secrets.
    ///
    /// # Errors
    /// Certificates that can't be read.
    pub fn new(address: Address, state: &Path) -> Result<Self, RemoteError> {
        let wrong = |e: &dyn std::fmt::Display| RemoteError::Address(e.to_string());
        let mut client = reqwest::Client::builder()
            .proxy(by_proxy(Proxies::of_environment()))
            .timeout(PATIENCE);
        if let Some(path) = &address.ca {
            let of_file = |e: &dyn std::fmt::Display| wrong(&format!("{}: {e}", path.display()));
            let pem = std::fs::read(path).map_err(|e| of_file(&e))?;
            for trusted in read_authorities(&pem).map_err(|e| of_file(&e))? {
                client = client.add_root_certificate(trusted);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| wrong(&e))?;
        Ok(Self {
            client: client.build().map_err(|e| wrong(&e))?,
            runtime,
            vault: Vault::new(state),
            has_compared: AtomicBool::new(false),
            address,
        })
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Seals the secrets in the events of an order.
    ///
    /// # Errors
    /// An identity that can't be used, or another one than the workers'.
    pub fn seal(&self, events: Vec<Event>) -> Result<Vec<Event<serde_json::Value>>, RemoteError> {
        if events
            .iter()
            .flat_map(values_of)
            .any(|value| value.holds_secret())
        {
            self.refuse_other_identity()?;
        }
        let sealed = events
            .into_iter()
            .map(|event| self.vault.close_event(event));
        Ok(sealed.collect::<Result<_, _>>()?)
    }

    /// Compares the identity with that of a worker: a run could not read secrets that are sealed to another one. If no worker answers now,
    /// the workers themselves compare.
    fn refuse_other_identity(&self) -> Result<(), RemoteError> {
        if self.has_compared.load(Ordering::Relaxed) {
            return Ok(());
        }
        let own = self.vault.recipient()?;
        let url = format!("{}/WindlassStep/identity", self.address.url);
        let asking = self.client.post(&url).timeout(COMPARING);
        // A worker of an earlier version does not say it.
        let Ok(theirs) = self.answer::<String>(asking, &url) else {
            return Ok(());
        };
        self.has_compared.store(own == theirs, Ordering::Relaxed);
        if own == theirs {
            Ok(())
        } else {
            Err(RemoteError::OtherIdentity { own, theirs })
        }
    }

    /// Digests the secrets in a value under a key derived from the identity, which the workers share. Returns `None`
    /// without secrets.
    ///
    /// # Errors
    /// An identity that can't be used.
    pub fn digest_secrets(&self, value: &Value) -> Result<Option<Digest>, RemoteError> {
        Ok(self.vault.digest_secrets(value)?)
    }

    /// Sends an order to a run without waiting for its end; returns the invocation that carries it out.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn send(&self, run: &RunId, order: &Order) -> Result<String, RemoteError> {
        self.ask_later(&format!("WindlassRun/{run}/drive"), order)
    }

    /// Sends an order that only records something, and waits until that is done.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn record(&self, run: &RunId, order: &Order) -> Result<Done, RemoteError> {
        self.ask(&format!("WindlassRun/{run}/drive"), order)
    }

    /// Deletes a run that has ended, if it has not changed since it was checked.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn forget(&self, pruned: &PrunedRun) -> Result<Done, RemoteError> {
        self.ask(&format!("WindlassRun/{}/forget", pruned.run), pruned)
    }

    /// Leaves a message for the driver of a run.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn post(&self, run: &RunId, message: &Message, at: Timestamp) -> Result<(), RemoteError> {
        let sent = json!([at, message]);
        let _: serde_json::Value = self.ask(&format!("WindlassMail/{run}/post"), &sent)?;
        // A driver that was paused while no worker was there reads no messages. The message is there all the same.
        let _ = self.wake(run);
        Ok(())
    }

    /// Asks a run to stop as soon as its steps allow it; invocations that Restate has paused receive the request, too.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn cancel(
        &self,
        run: &RunId,
        requester: String,
        via: Option<Via>,
        at: Timestamp,
    ) -> Result<(), RemoteError> {
        self.post(run, &Message::Cancel { requester, via }, at)?;
        let since = Instant::now();
        // The driver passes the cancel on to attempts; an attempt that is resumed before that is paused again.
        while self.resume_paused(run)? > 0 && since.elapsed() < HEARING {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Asks a run to stop, without waiting for a worker: Restate keeps the request until one receives it.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn cancel_later(
        &self,
        run: &RunId,
        requester: String,
        via: Option<Via>,
        at: Timestamp,
    ) -> Result<(), RemoteError> {
        let sent = json!([at, Message::Cancel { requester, via }]);
        self.ask_later(&format!("WindlassMail/{run}/post"), &sent)?;
        // The request is stored: what is paused gets it when it is resumed.
        let _ = self.resume_paused(run);
        Ok(())
    }

    /// Reads a run's events as they are stored.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn links(&self, run: &RunId) -> Result<Vec<Link>, RemoteError> {
        Ok(self.pages(run, 0)?.links)
    }

    /// Reads a run's events and folds them.
    ///
    /// # Errors
    /// An error of Restate, or a broken chain.
    pub fn state_of(&self, run: &RunId) -> Result<State, RemoteError> {
        let records = self.open(run, 0, Digest::ZERO, self.links(run)?)?;
        Ok(fold(run, &records)?)
    }

    /// Reads the files that an edition of a run froze.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn files(
        &self,
        run: &RunId,
        edition: u32,
    ) -> Result<BTreeMap<String, Arc<str>>, RemoteError> {
        let files: BTreeMap<String, String> =
            self.ask(&format!("WindlassRun/{run}/files"), &edition)?;
        Ok(files
            .into_iter()
            .map(|(path, text)| (path, text.into()))
            .collect())
    }

    /// Reads a run from its first event on, while the run continues.
    pub fn follow<'r>(&'r self, run: &'r RunId) -> Following<'r> {
        Following {
            remote: self,
            run,
            position: ReadPosition::default(),
        }
    }

    /// Returns the invocation that drives the run right now.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn driver(&self, run: &RunId) -> Result<Option<String>, RemoteError> {
        match self.driving(run)?.driver {
            // A driver that was killed by hand is still recorded.
            Some(driver) if self.is_alive(&driver)? => Ok(Some(driver)),
            _ => Ok(None),
        }
    }

    /// Returns the lock for which a run's last driver waited too long, if that is why it ended.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn gave_up(&self, run: &RunId) -> Result<Option<GaveUp>, RemoteError> {
        Ok(self.driving(run)?.gave_up)
    }

    pub(super) fn driving(&self, run: &RunId) -> Result<Driving, RemoteError> {
        self.ask(&format!("WindlassRun/{run}/driver"), &())
    }

    /// Returns the number of the last message to a run.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn last_letter(&self, run: &RunId) -> Result<u64, RemoteError> {
        self.ask(&format!("WindlassMail/{run}/last"), &())
    }

    /// Reads all pages, starting with one.
    pub(super) fn pages(&self, run: &RunId, from: u64) -> Result<Pages, RemoteError> {
        let mut all = Pages {
            next: from,
            ..Pages::default()
        };
        while !all.is_last {
            let read = self.some_pages(run, all.next)?;
            all.links.extend(read.links);
            (all.next, all.is_last) = (read.next, read.is_last);
        }
        Ok(all)
    }

    /// Reads as many pages as the engine gives at once.
    pub(super) fn some_pages(&self, run: &RunId, from: u64) -> Result<Pages, RemoteError> {
        self.ask(&format!("WindlassRun/{run}/events"), &from)
    }

    pub(super) fn open(
        &self,
        run: &RunId,
        first: u64,
        before: Digest,
        links: Vec<Link>,
    ) -> Result<Vec<Record>, RemoteError> {
        let open = |_: &str, event| self.vault.open_event(event);
        Ok(open_links(run, first, before, links, open)?)
    }

    /// Says whether an invocation has not ended.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn is_alive(&self, invocation: &str) -> Result<bool, RemoteError> {
        let url = format!(
            "{}/restate/invocation/{invocation}/output",
            self.address.url
        );
        match self.answer::<serde_json::Value>(self.client.get(&url), &url) {
            // The answer is "not ready": it is still running.
            Err(RemoteError::Refused { status: 470, .. }) => Ok(true),
            Ok(_) | Err(RemoteError::Refused { status: 404, .. }) => Ok(false),
            // This is the error with which the invocation ended, not an error of the request.
            Err(RemoteError::Refused { body, .. }) if is_of_invocation(&body) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a request without waiting for the answer of its handler; returns its invocation.
    fn ask_later(&self, path: &str, body: &impl Serialize) -> Result<String, RemoteError> {
        let stranger = || RemoteError::Stranger(self.address.url.clone());
        let sent: serde_json::Value = match self.ask(&format!("{path}/send"), body) {
            // The answer is not JSON.
            Err(RemoteError::Refused {
                status: 200..=299, ..
            }) => return Err(stranger()),
            sent => sent?,
        };
        let id = sent["invocationId"].as_str().ok_or_else(stranger)?;
        Ok(id.to_owned())
    }

    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, RemoteError> {
        let url = format!("{}/{path}", self.address.url);
        let body = serde_json::to_string(body).map_err(|e| RemoteError::Address(e.to_string()))?;
        let mut request = self.client.post(&url);
        // A handler without a parameter accepts no body.
        if body != "null" {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        self.answer(request, &url)
    }

    pub(super) fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        url: &str,
    ) -> Result<T, RemoteError> {
        let (status, body) = self.exchange(request, url)?;
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|e| RemoteError::Refused {
            status,
            body: format!("an answer that can't be read: {e}"),
        })
    }

    /// Says whether an address is one of the admin API.
    fn is_for_admin(&self, url: &str) -> bool {
        let path = url.strip_prefix(&self.address.admin);
        path.is_some_and(|path| {
            let names = ["/query", "/deployments", "/invocations"];
            names.iter().any(|name| path.starts_with(name))
        })
    }

    /// Returns the error for an address that is not that of an ingress: what it is, if it says so.
    fn no_ingress(&self) -> RemoteError {
        let base = &self.address.url;
        let url = format!("{base}/version");
        match self.answer::<serde_json::Value>(self.client.get(&url), &url) {
            Ok(said) if said["min_admin_api_version"].is_u64() => {
                let ingress = said["ingress_endpoint"].as_str();
                RemoteError::AdminForIngress {
                    url: base.clone(),
                    ingress: ingress.map(|ingress| ingress.trim_end_matches('/').to_owned()),
                }
            }
            _ => RemoteError::Stranger(base.clone()),
        }
    }

    /// Sends a request, and returns the status and body of an answer that is not an error.
    pub(super) fn exchange(
        &self,
        request: reqwest::RequestBuilder,
        url: &str,
    ) -> Result<(u16, Vec<u8>), RemoteError> {
        let headers = self.address.headers.iter();
        let request = headers.fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        let unreachable = |source| RemoteError::Unreachable {
            url: url.to_owned(),
            source,
        };
        let (status, body) = self.runtime.block_on(async {
            let response = request.send().await.map_err(unreachable)?;
            let status = response.status().as_u16();
            let body = read_answer(response, LARGEST).await.map_err(|e| match e {
                BodyError::Lost(e) => unreachable(e),
                large @ BodyError::TooLarge(_) => RemoteError::Refused {
                    status,
                    body: large.to_string(),
                },
            })?;
            Ok::<_, RemoteError>((status, body))
        })?;
        let is_of_ingress = || {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            said["source"] == "ingress"
        };
        match status {
            200..=299 => Ok((status, body)),
            404 if url.contains("/Windlass") && is_of_ingress() => Err(RemoteError::NoWorker),
            404 | 405 if url.contains("/Windlass") => Err(self.no_ingress()),
            400 | 404 | 405 if self.is_for_admin(url) && is_of_ingress() => {
                Err(RemoteError::IngressForAdmin(self.address.admin.clone()))
            }
            500 if url.contains("/Windlass") => {
                let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                let text = String::from_utf8_lossy(&body);
                let why = said["message"].as_str().unwrap_or(&text);
                Err(RemoteError::NoAnswer(plain(why)))
            }
            status => Err(RemoteError::Refused {
                status,
                body: String::from_utf8_lossy(&body).into_owned(),
            }),
        }
    }
}

/// Says whether an error is the one with which an invocation ended.
fn is_of_invocation(body: &str) -> bool {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["source"] == "invocation"
}

/// Reads a run while it continues.
pub struct Following<'r> {
    remote: &'r Remote,
    run: &'r RunId,
    position: ReadPosition,
}

impl Following<'_> {
    /// Reads the events since the last call.
    ///
    /// # Errors
    /// An error of Restate, or a broken chain.
    pub fn read(&mut self) -> Result<Vec<Record>, RemoteError> {
        self.remote.read_on(self.run, &mut self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers one request, and returns its own address.
    fn answering(body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a request");
            let _ = stream.read(&mut [0; 4096]).expect("a request");
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .expect("sent");
        });
        format!("http://{address}")
    }

    fn sent(body: &'static str) -> (String, Result<String, RemoteError>) {
        let url = answering(body);
        let address = Address {
            admin: url.clone(),
            url: url.clone(),
            headers: BTreeMap::new(),
            ca: None,
        };
        let remote = Remote::new(address, Path::new("no-folder")).expect("a client");
        (url, remote.ask_later("WindlassMail/run/post", &json!({})))
    }

    /// Sends an order to a server that answers each request by its path.
    fn sent_to(answers: fn(&str) -> (u16, &'static str)) -> RemoteError {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a request");
                let mut request = [0; 4096];
                let length = stream.read(&mut request).expect("a request");
                let request = String::from_utf8_lossy(&request[..length]);
                let path = request.split(' ').nth(1).unwrap_or_default();
                let (status, body) = answers(path);
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                )
                .expect("sent");
            }
        });
        let address = Address {
            admin: url.clone(),
            url,
            headers: BTreeMap::new(),
            ca: None,
        };
        let remote = Remote::new(address, Path::new("no-folder")).expect("a client");
        remote
            .ask_later("WindlassRun/run/drive", &json!({}))
            .expect_err("refused")
    }

    #[test]
    fn a_wrong_port_is_named() {
        let admin = sent_to(|path| match path {
            "/version" => (
                200,
                "{\"min_admin_api_version\":2,\"ingress_endpoint\":\"http://restate:8080/\"}",
            ),
            _ => (404, ""),
        });
        assert!(
            matches!(&admin, RemoteError::AdminForIngress { ingress: Some(at), .. } if at == "http://restate:8080"),
            "{admin}"
        );
        assert!(
            admin
                .hint()
                .expect("a hint")
                .contains("http://restate:8080")
        );
        assert!(matches!(
            sent_to(|_| (404, "<html>")),
            RemoteError::Stranger(_)
        ));
        assert!(matches!(
            sent_to(|_| (
                404,
                "{\"code\":404,\"message\":\"no such service\",\"source\":\"ingress\"}"
            )),
            RemoteError::NoWorker
        ));
    }

    #[test]
    fn a_server_that_is_not_restate_takes_no_order() {
        let (_, id) = sent("{\"invocationId\":\"inv_1\"}");
        assert_eq!(id.expect("sent"), "inv_1");
        for body in ["{}", "", "<html>", "{\"invocationId\":7}"] {
            let (url, id) = sent(body);
            let error = id.expect_err("no id");
            assert!(error.to_string().contains(&url), "{error}");
            assert!(!error.passes());
            assert!(error.hint().expect("a hint").contains("WINDLASS_RESTATE"));
        }
    }
}
