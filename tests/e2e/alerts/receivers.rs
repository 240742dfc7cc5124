//! Whom alerts go to: an HTTP listener and a mail server, small and real. They end with the test's runtime.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use passerelle_test_servers::tls::Certificates;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Hook {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// An HTTP listener that takes what comes.
#[derive(Clone, Debug)]
pub(super) struct Hooks {
    pub(super) port: u16,
    got: Arc<Mutex<Vec<Hook>>>,
    /// What is answered.
    status: Arc<Mutex<u16>>,
}

impl Hooks {
    pub(super) async fn listen() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// The same on a socket that is there already.
    pub(super) fn on(listener: TcpListener) -> Self {
        let port = listener.local_addr().unwrap().port();
        let hooks = Self { port, got: Arc::default(), status: Arc::new(Mutex::new(204)) };
        let router = Router::new().fallback(take).with_state(hooks.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        hooks
    }

    pub(super) fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    pub(super) fn got(&self) -> Vec<Hook> {
        self.got.lock().unwrap().clone()
    }

    /// `event kind about` of each.
    pub(super) fn words(&self) -> Vec<String> {
        self.got().iter().map(|hook| words(&hook.json())).collect()
    }
}

/// `event kind about` of an alert's document.
pub(super) fn words(alert: &Value) -> String {
    ["event", "kind", "about"].map(|key| alert[key].as_str().unwrap_or("?")).join(" ")
}

async fn take(State(hooks): State<Hooks>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = StatusCode::from_u16(*hooks.status.lock().unwrap()).unwrap();
    if status.is_success() {
        hooks.got.lock().unwrap().push(Hook { headers, body: String::from_utf8(body.to_vec()).unwrap() });
    }
    status
}

/// A letter as it arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Letter {
    pub(super) to: Vec<String>,
    pub(super) text: String,
    /// Who had signed in.
    pub(super) user: Option<String>,
    pub(super) tls: bool,
}

impl Letter {
    /// `receivers: subject`.
    pub(super) fn line(&self) -> String {
        let unfolded = self.text.replace("\r\n ", " ");
        let subject = unfolded.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or("?");
        format!("{}: {subject}", self.to.join(" "))
    }
}

/// A mail server: RFC 5321 as far as a client needs it, STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4954).
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) port: u16,
    got: Arc<Mutex<Vec<Letter>>>,
}

impl Mail {
    /// Without TLS; it asks for no password.
    pub(super) async fn listen() -> Self {
        Self::start(None).await
    }

    /// It takes letters after STARTTLS and a login only: `passerelle` with `any`.
    pub(super) async fn behind_tls(certificates: &Certificates) -> Self {
        let chain = CertificateDer::pem_file_iter(certificates.server()).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(certificates.server_key()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider);
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Self::start(Some(TlsAcceptor::from(Arc::new(server.with_single_cert(chain, key).unwrap())))).await
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = Self { port: listener.local_addr().unwrap().port(), got: Arc::default() };
        let ours = mail.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mail, tls) = (ours.clone(), tls.clone());
                tokio::spawn(async move {
                    // How a connection ends is the client's matter.
                    let _ = mail.connection(stream, tls).await;
                });
            }
        });
        mail
    }

    pub(super) fn got(&self) -> Vec<Letter> {
        self.got.lock().unwrap().clone()
    }

    async fn connection(&self, stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<()> {
        let mut plain = BufStream::new(stream);
        say(&mut plain, "220 test").await?;
        if self.talk(&mut plain, tls.is_some(), false).await?
            && let Some(tls) = tls
        {
            let mut secured = BufStream::new(tls.accept(plain.into_inner()).await?);
            self.talk(&mut secured, false, true).await?;
        }
        Ok(())
    }

    /// One conversation. Whether TLS is to begin.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufStream<S>,
        wants_tls: bool,
        is_secured: bool,
    ) -> io::Result<bool> {
        let mut letter = Letter { tls: is_secured, ..Letter::default() };
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let line = line.trim_end();
            let verb = line.split(' ').next().unwrap_or_default().to_uppercase();
            let is_barred = wants_tls || (is_secured && letter.user.is_none());
            match verb.as_str() {
                "EHLO" if wants_tls => say(stream, "250-test\r\n250 STARTTLS").await?,
                "EHLO" if is_secured => say(stream, "250-test\r\n250 AUTH PLAIN").await?,
                "EHLO" => say(stream, "250-test\r\n250 8BITMIME").await?,
                "STARTTLS" => {
                    say(stream, "220 go ahead").await?;
                    return Ok(true);
                }
                "AUTH" => {
                    let proof = line.rsplit(' ').next().unwrap_or_default();
                    let proof = base64::engine::general_purpose::STANDARD.decode(proof).unwrap_or_default();
                    if proof == b"\0passerelle\0any" {
                        letter.user = Some("passerelle".to_owned());
                        say(stream, "235 welcome").await?;
                    } else {
                        say(stream, "535 who are you").await?;
                    }
                }
                "MAIL" if is_barred => say(stream, "530 not yet").await?,
                "RCPT" if line.contains("<gone@") => say(stream, "550 no such user").await?,
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or("?");
                    letter.to.push(address.to_owned());
                    say(stream, "250 ok").await?;
                }
                "DATA" => {
                    say(stream, "354 go on").await?;
                    letter.text = dotted(stream).await?;
                    self.got.lock().unwrap().push(letter.clone());
                    letter = Letter { tls: is_secured, user: letter.user, ..Letter::default() };
                    say(stream, "250 ok").await?;
                }
                "MAIL" | "NOOP" => say(stream, "250 ok").await?,
                "RSET" => {
                    letter.to.clear();
                    say(stream, "250 ok").await?;
                }
                "QUIT" => {
                    say(stream, "221 bye").await?;
                    return Ok(false);
                }
                _ => say(stream, "502 what").await?,
            }
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// A text up to the line that is a full stop.
async fn dotted<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
