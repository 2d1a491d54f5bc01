//! Receives events of a server as they happen; after a lost connection it continues with the event after the last one.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use reqwest::{Method, Response};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    client::{BEGIN, Client, LARGEST},
    wire::EventItem,
};
use crate::error::{Kind, RunsError};
use windlass_ground::lock;
use windlass_journal::{Record, RunId};
use windlass_world::outside::{backoff, jitter};

/// A server sends a comment every 15 s if nothing happens; if three of them are missing, the connection is lost.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a server may be unreachable before the follower gets an error.
const PATIENCE: Duration = Duration::from_secs(300);
/// The pause before it connects again: the first one, and the longest one.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);

/// The events of a run as they happen.
pub struct Following {
    news: Receiver<Result<Record, RunsError>>,
    lost: Lost,
    task: JoinHandle<()>,
}

/// The reason why the server can't be reached at the moment, as long as it can't.
type Lost = Arc<Mutex<Option<String>>>;

impl Following {
    /// Follows a run, starting with event `next`.
    pub(super) fn begin(
        threads: &tokio::runtime::Handle,
        client: Arc<Client>,
        run: RunId,
        next: u64,
    ) -> Self {
        let (sender, news) = channel();
        let lost = Lost::default();
        let noted = lost.clone();
        let task = threads.spawn(async move {
            if let Err(error) = follow(&client, &run, next, (&sender, &noted)).await {
                // The follower has gone.
                let _ = sender.send(Err(error));
            }
        });
        Self { news, lost, task }
    }

    /// Returns why the server can't be reached at the moment; `None` if it can.
    pub fn lost(&self) -> Option<String> {
        lock(&self.lost).clone()
    }

    /// Waits for the next event; returns `None` if there is none in this time.
    ///
    /// # Errors
    /// The reason why there will be none: the server has been unreachable for minutes, or rejects the request.
    pub fn next(&self, most: Duration) -> Result<Option<Record>, RunsError> {
        match self.news.recv_timeout(most) {
            Ok(news) => news.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(RunsError::broken(
                "server",
                "the server closed the event stream",
            )),
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    client: &Client,
    run: &RunId,
    mut next: u64,
    (sender, noted): (&Sender<Result<Record, RunsError>>, &Lost),
) -> Result<(), RunsError> {
    let path = format!("/api/v1/runs/{run}/stream");
    let (mut reached, mut lost) = (Instant::now(), 0);
    loop {
        let last = next.checked_sub(1);
        let before = next;
        let mut each = |sent: Sent| -> Result<(), RunsError> {
            if sent.name == "reset" {
                let message = format!("the server has fewer events of run {run} than it has sent");
                return Err(RunsError::broken("server", message)
                    .hint("was the server restored from a backup? Read the run again"));
            }
            if sent.name != "event" {
                return Ok(());
            }
            let item: EventItem =
                serde_json::from_str(&sent.data).map_err(|e| client.unreadable(&path, &e))?;
            let record = item.record();
            if record.seq == next {
                next += 1;
                // If the follower has gone, this task is aborted.
                let _ = sender.send(Ok(record));
            }
            Ok(())
        };
        let ended = match open(client, &path, last).await {
            Ok(answer) => {
                // It is reached again, even if nothing happens in the run.
                *lock(noted) = None;
                read(client, &path, answer, &mut each).await
            }
            Err(error) => Err(error),
        };
        match ended {
            Err(error) if error.kind != Kind::Busy => return Err(error),
            Err(error) if reached.elapsed() > PATIENCE => return Err(error),
            Err(error) => *lock(noted) = Some(error.message),
            Ok(()) => {
                reached = Instant::now();
                *lock(noted) = None;
            }
        }
        if next > before {
            (reached, lost) = (Instant::now(), 0);
        }
        lost += 1;
        tokio::time::sleep(backoff(PAUSES, lost, jitter())).await;
    }
}

/// A server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub name: String,
    pub data: String,
}

/// Reads the events of one connection until it is lost.
pub(super) async fn listen(
    client: &Client,
    path: &str,
    last: Option<u64>,
    each: &mut (dyn FnMut(Sent) -> Result<(), RunsError> + Send),
) -> Result<(), RunsError> {
    let answer = open(client, path, last).await?;
    read(client, path, answer, each).await
}

/// Connects to a stream of events.
async fn open(client: &Client, path: &str, last: Option<u64>) -> Result<Response, RunsError> {
    let mut request = client
        .request(Method::GET, path)
        .header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    client.send(request, BEGIN).await
}

async fn read(
    client: &Client,
    path: &str,
    mut answer: Response,
    each: &mut (dyn FnMut(Sent) -> Result<(), RunsError> + Send),
) -> Result<(), RunsError> {
    let mut reader = Reader::default();
    loop {
        match timeout(SILENCE, answer.chunk()).await {
            Ok(Ok(Some(part))) => {
                for sent in reader.read(&part) {
                    each(sent)?;
                }
                if reader.held() > LARGEST {
                    return Err(client.too_large(path));
                }
            }
            Ok(Ok(None)) | Ok(Err(_)) | Err(_) => return Ok(()),
        }
    }
}

/// Splits a stream into server-sent events, wherever the network splits the data.
#[derive(Default)]
struct Reader {
    rest: Vec<u8>,
    sent: Sent,
}

impl Reader {
    /// Returns how many bytes of an incomplete event it holds.
    fn held(&self) -> usize {
        self.rest.len() + self.sent.data.len()
    }

    fn read(&mut self, part: &[u8]) -> Vec<Sent> {
        self.rest.extend_from_slice(part);
        let mut events = Vec::new();
        let mut begin = 0;
        while let Some(length) = self.rest[begin..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.rest[begin..begin + length]);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            match line.split_once(':') {
                _ if line.is_empty() => {
                    let sent = std::mem::take(&mut self.sent);
                    if sent != Sent::default() {
                        events.push(sent);
                    }
                }
                Some(("event", name)) => self.sent.name = name.trim_start().to_owned(),
                Some(("data", data)) => {
                    if !self.sent.data.is_empty() {
                        self.sent.data.push('\n');
                    }
                    self.sent
                        .data
                        .push_str(data.strip_prefix(' ').unwrap_or(data));
                }
                // A comment, or a field that is not needed: `seq` is in the data as well.
                _ => {}
            }
            begin += length + 1;
        }
        self.rest.drain(..begin);
        events
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::{super::client::Address, *};

    #[tokio::test]
    async fn a_server_that_is_reached_again_is_not_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = Address {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            ca: None,
            token: None,
            renew: None,
            certificate: None,
        };
        let client = Client::new(address).expect("a client");
        // Nothing happens in the run.
        let (end, ended) = channel::<()>();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("the same"));
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).expect("answered");
            let _ = ended.recv();
        });
        let (sender, _news) = channel();
        let noted: Lost = Arc::new(Mutex::new(Some("it is away".into())));
        let run = RunId::stored("r".into());
        let is_back = async {
            while lock(&noted).is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            ended = follow(&client, &run, 0, (&sender, &noted)) => panic!("{ended:?}"),
            waited = timeout(Duration::from_secs(30), is_back) => waited.expect("it is back"),
        }
        drop(end);
        serving.join().expect("served");
    }

    #[test]
    fn what_is_held_of_an_event_counts() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(b"data: 12345\ndata: 1"), []);
        assert_eq!(reader.held(), "12345".len() + "data: 1".len());
        assert_eq!(reader.read(b"\n\n").len(), 1);
        assert_eq!(reader.held(), 0);
    }

    #[test]
    fn events_are_read_wherever_they_are_cut() {
        let text = ": alive\n\nid: 4\nevent: event\ndata: {\"a\": \"é\"}\n\nevent: reset\ndata:\n\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\n";
        let sent = |name: &str, data: &str| Sent {
            name: name.into(),
            data: data.into(),
        };
        let wanted = [
            sent("event", "{\"a\": \"é\"}"),
            sent("reset", ""),
            sent("x", "1\n2"),
        ];
        for size in 1..text.len() {
            let mut reader = Reader::default();
            let parts = text.as_bytes().chunks(size);
            let found: Vec<_> = parts.flat_map(|part| reader.read(part)).collect();
            assert_eq!(found, wanted, "in parts of {size}");
        }
    }
}
