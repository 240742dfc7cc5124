use std::path::PathBuf;

use passerelle_test_servers::tls::Certificates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls};

use super::*;
use crate::Socket;

/// Two authorities in a folder, each with a server's and a client's certificate.
struct Files {
    ours: Certificates,
    others: Certificates,
    folder: tempfile::TempDir,
}

impl Files {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| Certificates::make(&folder.path().join(name), "passerelle").unwrap();
        Self { ours: make("ours"), others: make("others"), folder }
    }

    fn written(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn settings(mode: TlsMode, ca: Option<&Path>) -> TlsSettings<'_> {
    TlsSettings { mode, ca, cert: None, key: None }
}

/// One handshake with a server that has these files and asks for no certificate; then a byte each way.
async fn handshake(settings: TlsSettings<'_>, host: &str, certificate: &Path, key: &Path) -> std::io::Result<()> {
    let chain = certificates(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(chain.clone(), key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte + 1).await?;
        stream.flush().await
    });
    let socket = Socket::tcp("127.0.0.1", port, None).await?;
    assert!(!socket.is_tls() && !socket.is_private() && socket.server_certificate().is_none());
    let mut socket = socket.protect(settings.client_config().unwrap(), server_name(host).unwrap()).await?;
    assert!(socket.is_tls() && socket.is_private() && !socket.wants_tls(settings.mode));
    assert_eq!(socket.server_certificate(), chain.first());
    socket.move_here()?;
    socket.write_u8(1).await?;
    socket.flush().await?;
    assert_eq!(socket.read_u8().await?, 2);
    answering.await.unwrap()
}

#[tokio::test]
async fn certificates_are_checked_as_the_mode_says() {
    let files = Files::make();
    let (certificate, key) = (files.ours.server(), files.ours.server_key());
    let (ours, others) = (files.ours.ca(), files.others.ca());
    let try_it = async |mode, ca, host| handshake(settings(mode, Some(ca)), host, &certificate, &key).await;
    for mode in [TlsMode::Prefer, TlsMode::Require] {
        for ca in [&ours, &others] {
            try_it(mode, ca, "elsewhere.example").await.unwrap();
        }
    }
    for host in ["localhost", "127.0.0.1", "elsewhere.example"] {
        try_it(TlsMode::VerifyCa, &ours, host).await.unwrap();
    }
    for host in ["localhost", "127.0.0.1"] {
        try_it(TlsMode::VerifyFull, &ours, host).await.unwrap();
    }
    let why = async |mode, ca, host| try_it(mode, ca, host).await.unwrap_err().to_string();
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let why = why(mode, &others, "localhost").await;
        // The two have the same name, and so it is the signature that tells them apart.
        assert!(why.contains("invalid peer certificate: BadSignature"), "{mode:?}: {why}");
    }
    for host in ["elsewhere.example", "127.0.0.2"] {
        let why = why(TlsMode::VerifyFull, &ours, host).await;
        assert!(why.contains("certificate not valid for name"), "{host}: {why}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let files = Files::make();
    let nowhere = files.folder.path().join("nowhere.pem");
    let words = files.written("words.pem", "no certificate\n");
    let cut = files.written("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let strange = files.written("strange.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let check = |settings: TlsSettings<'_>, path: &Path, why: &str| {
        let Err(error) = settings.client_config() else { panic!("{} is taken", path.display()) };
        assert!(matches!(&error, Error::File(file) if file.path == path), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&path.display().to_string()) && text.contains(why), "{text}");
    };
    for (path, why) in
        [(&nowhere, "No such file"), (&words, "no certificate in it"), (&cut, "end marker"), (&strange, "certificate")]
    {
        check(settings(TlsMode::VerifyCa, Some(path)), path, why);
    }
    let shown = |cert, key| TlsSettings { cert: Some(cert), key: Some(key), ..settings(TlsMode::Require, None) };
    let (certificate, key) = (files.ours.client(), files.ours.client_key());
    check(shown(&nowhere, &key), &nowhere, "No such file");
    check(shown(&certificate, &certificate), &certificate, "no items found");
    let others = files.others.client_key();
    check(shown(&certificate, &others), &others, "");
    assert!(shown(&certificate, &key).client_config().is_ok());
}

#[test]
fn settings_that_do_not_go_together_are_told() {
    let path = Path::new("/nowhere.pem");
    let check = |error: Error, text: &str| {
        assert!(matches!(error, Error::Settings(_)), "{error:?}");
        assert_eq!(error.to_string(), text);
    };
    let plain = settings(TlsMode::Require, None);
    for half in [TlsSettings { cert: Some(path), ..plain }, TlsSettings { key: Some(path), ..plain }] {
        check(half.client_config().unwrap_err(), "`tls_cert` and `tls_key` go together");
    }
    check(server_name("a host").unwrap_err(), "`a host` is neither a host name nor an address");
    assert!(server_name("db.example").is_ok() && server_name("fd00::1").is_ok());
}
