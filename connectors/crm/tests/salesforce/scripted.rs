//! A server that plays a script: one step a request, in their order, over plain sockets, so that it can do what a server
//! must not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
pub(crate) enum Step {
    /// Answers: status, further header lines, body.
    Answer(u16, Vec<String>, Vec<u8>),
    /// Reads the request and cuts the connection.
    Cut,
    /// Promises a longer body than it sends, then cuts the connection.
    CutWithin(Vec<u8>),
    /// Reads the request and never answers.
    Hang,
}

/// A 200 with a JSON body.
pub(crate) fn ok(body: &str) -> Step {
    answer(200, &[], body)
}

/// Any status with header lines and a body.
pub(crate) fn answer(status: u16, headers: &[&str], body: &str) -> Step {
    Step::Answer(status, headers.iter().map(|h| (*h).to_owned()).collect(), body.as_bytes().to_vec())
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `PATCH /services/…`.
    pub(crate) line: String,
    /// Header lines, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The server; its task ends with the test's runtime.
pub(crate) struct Scripted {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<Mutex<VecDeque<Step>>>,
}

impl Scripted {
    /// Starts it on a free port; `{url}` in a body becomes its own address.
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::default();
        let left = Arc::new(Mutex::new(VecDeque::from(steps)));
        let server = Self { url: url.clone(), seen: Arc::clone(&seen), left: Arc::clone(&left) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, url.clone(), Arc::clone(&seen), Arc::clone(&left)));
            }
        });
        server
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics with it").clone()
    }

    /// Steps not played yet.
    pub(crate) fn left(&self) -> usize {
        self.left.lock().expect("no test panics with it").len()
    }
}

async fn serve(stream: TcpStream, url: String, seen: Arc<Mutex<Vec<Seen>>>, left: Arc<Mutex<VecDeque<Step>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        seen.lock().expect("no test panics with it").push(request);
        let step = left.lock().expect("no test panics with it").pop_front();
        match step {
            Some(Step::Answer(status, headers, body)) => {
                let body = match String::from_utf8(body) {
                    Ok(text) => text.replace("{url}", &url).into_bytes(),
                    Err(raw) => raw.into_bytes(),
                };
                let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
                for header in headers {
                    head.push_str(&header);
                    head.push_str("\r\n");
                }
                let _ = stream.write_all(format!("{head}\r\n").as_bytes()).await;
                let _ = stream.write_all(&body).await;
                let _ = stream.flush().await;
            }
            Some(Step::CutWithin(body)) => {
                let head = format!("HTTP/1.1 200 Scripted\r\ncontent-length: {}\r\n\r\n", body.len() + 10);
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
                let _ = stream.flush().await;
                return;
            }
            Some(Step::Hang) => std::future::pending().await,
            // A request beyond the script finds a cut connection, and its test a request too many.
            Some(Step::Cut) | None => return,
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, n)| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Seen { line, headers, body: String::from_utf8(body).expect("text") })
}
