use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value as Json, json};

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn to_json(&self) -> Json {
        json!({ "method": self.method, "target": self.target, "headers": self.headers, "body": self.body })
    }
}

/// What the server does with a request.
pub enum Reply {
    Says(u16, String),
    /// Closes the connection without a word.
    Hangs,
}

/// A server on loopback that answers as it is told, and remembers what it was asked.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// `reply` is told how many requests came before this one.
    pub fn start(reply: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (remembered, reply) = (asked.clone(), Arc::new(reply));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (remembered, reply) = (remembered.clone(), reply.clone());
                thread::spawn(move || while serve(&client, &remembered, &*reply).is_some() {});
            }
        });
        Self { url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("a list").clone()
    }

    /// Of a target: every service is here.
    pub fn target(&self) -> String {
        format!(
            "[targets.t]\naws = {{ region = \"us-east-1\", endpoint = \"{}\" }}\n",
            self.url
        )
    }
}

/// A client that is gone is no matter of the server's.
fn serve(
    mut client: &TcpStream,
    remembered: &Mutex<Vec<Asked>>,
    reply: &dyn Fn(&Asked, usize) -> Reply,
) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then_some(())?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    if headers
        .get("expect")
        .is_some_and(|what| what == "100-continue")
    {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = headers
        .get("content-length")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let asked = Asked {
        method,
        target,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    // At its start, a run asks whose credentials it has.
    if asked.body.starts_with("Action=GetCallerIdentity") {
        return say(client, 200, IDENTITY);
    }
    let before = {
        let mut list = remembered.lock().expect("a list");
        list.push(asked.clone());
        list.len() - 1
    };
    let Reply::Says(status, body) = reply(&asked, before) else {
        client.shutdown(std::net::Shutdown::Both).ok()?;
        return None;
    };
    say(client, status, &body)
}

const IDENTITY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::111111111111:user/x</Arn><UserId>x</UserId><Account>111111111111</Account>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";

fn say(mut client: &TcpStream, status: u16, body: &str) -> Option<()> {
    let text = format!(
        "HTTP/1.1 {status} X\r\nx-amzn-requestid: r-1\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(text.as_bytes()).ok()
}
