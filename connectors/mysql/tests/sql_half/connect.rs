//! Connecting: TLS, passwords, the session.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use passerelle_change::Class;
use passerelle_mysql::{Error, Flavor, Options, TlsMode, sql};
use passerelle_test_servers::MariadbServer;
use passerelle_test_servers::tls::Certificates;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{connect, options, to};

/// Certificates that a server of another user may read.
fn certificates(folder: &TempDir, name: &str, client: &str) -> Certificates {
    let made = Certificates::make(&folder.path().join(name), client).unwrap();
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(folder.path(), 0o755);
    open(&folder.path().join(name), 0o755);
    open(&made.server_key(), 0o644);
    made
}

/// A server with TLS, also at an address that its certificate does not have.
fn server_with(certificates: &Certificates) -> MariadbServer {
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    MariadbServer::builder()
        .setting("bind_address", "0.0.0.0")
        .setting("ssl_ca", &path(certificates.ca()))
        .setting("ssl_cert", &path(certificates.server()))
        .setting("ssl_key", &path(certificates.server_key()))
        .start()
        .unwrap()
}

/// The cipher of a connection; empty where it is not protected.
async fn cipher(options: &Options) -> Result<String, Error> {
    let mut connection = sql::connect(options).await?;
    let row = connection.row("SHOW STATUS LIKE 'Ssl_cipher'").await?;
    connection.close().await;
    Ok(row.and_then(|row| row.text(1).map(str::to_owned)).unwrap_or_default())
}

#[tokio::test]
async fn my_17_tls_in_five_modes() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (certificates(&folder, "ours", "anyone"), certificates(&folder, "other", "anyone"));
    let server = server_with(&ours);
    server.sql("", "create user root@'%' identified by ''; grant all on *.* to root@'%'").unwrap();
    let with = |tls, host: &str, ca: Option<&Certificates>| Options {
        host: host.to_owned(),
        tls,
        tls_ca: ca.map(Certificates::ca),
        ..options(&server)
    };
    let named = "127.0.0.1";
    // The certificate is not for this one.
    let unnamed = "127.0.0.2";
    assert_eq!(cipher(&with(TlsMode::Disable, named, None)).await.unwrap(), "");
    for mode in [TlsMode::Prefer, TlsMode::Require] {
        assert_ne!(cipher(&with(mode, unnamed, None)).await.unwrap(), "", "{mode:?}");
    }
    for host in [named, unnamed] {
        assert_ne!(cipher(&with(TlsMode::VerifyCa, host, Some(&ours))).await.unwrap(), "", "{host}");
    }
    for host in [named, "localhost"] {
        assert_ne!(cipher(&with(TlsMode::VerifyFull, host, Some(&ours))).await.unwrap(), "", "{host}");
    }
    for (mode, host, ca) in [
        (TlsMode::VerifyCa, named, Some(&other)),
        (TlsMode::VerifyFull, named, Some(&other)),
        (TlsMode::VerifyFull, unnamed, Some(&ours)),
        // The system trusts neither.
        (TlsMode::VerifyCa, named, None),
    ] {
        let error = cipher(&with(mode, host, ca)).await.unwrap_err();
        assert!(matches!(error, Error::TlsHandshake { .. } | Error::TlsSettings(_)), "{mode:?} {host}: {error:?}");
        assert!(matches!(error.class(), Class::Operator { .. }));
    }
}

#[tokio::test]
async fn my_17_a_client_certificate_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = certificates(&folder, "ours", "shop");
    let server = server_with(&certificates);
    server.sql("", "create user shop@'%' require subject '/CN=shop'").unwrap();
    let without = Options {
        user: "shop".into(),
        database: "information_schema".into(),
        tls: TlsMode::VerifyFull,
        tls_ca: Some(certificates.ca()),
        ..options(&server)
    };
    assert_eq!(cipher(&without).await.unwrap_err().code().as_deref(), Some("1045"));
    let with =
        Options { tls_cert: Some(certificates.client()), tls_key: Some(certificates.client_key()), ..without.clone() };
    assert_ne!(cipher(&with).await.unwrap(), "");
    let half = Options { tls_key: None, ..with.clone() };
    assert!(matches!(cipher(&half).await, Err(Error::TlsSettings(_))));
    let wrong = Options { tls_key: Some(certificates.client()), ..with };
    assert!(matches!(cipher(&wrong).await, Err(Error::TlsFile { .. })));
    let none = Options { tls_ca: Some(folder.path().join("none.pem")), ..without };
    assert!(matches!(cipher(&none).await, Err(Error::TlsFile { .. })));
}

#[tokio::test]
async fn my_17_passwords_and_ways_to_the_server() {
    let server = MariadbServer::builder()
        .setting("skip_ssl", "1")
        .setting("performance_schema", "ON")
        .setting("sql_mode", "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH")
        .setting("default_time_zone", "+05:30")
        .setting("max_statement_time", "1")
        .setting("character_set_server", "latin1")
        .setting("init_connect", "SET sql_select_limit = 1")
        .start()
        .unwrap();
    server
        .sql("", "create user shop@'%' identified by 'ge''heim'; grant select on performance_schema.* to shop@'%'")
        .unwrap();
    let right = Options {
        user: "shop".into(),
        database: "information_schema".into(),
        password: Some("ge'heim".into()),
        ..options(&server)
    };
    sql::connect(&right).await.unwrap().close().await;
    let wrong = Options { password: Some("geheim".into()), ..right.clone() };
    let error = sql::connect(&wrong).await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("1045"), "{error}");
    assert!(matches!(error.class(), Class::Operator { .. }));
    assert!(!format!("{error} {error:?}").contains("geheim"));

    assert_eq!(cipher(&Options { tls: TlsMode::Prefer, ..right.clone() }).await.unwrap(), "");
    let error = cipher(&Options { tls: TlsMode::Require, ..right.clone() }).await.unwrap_err();
    assert!(matches!(&error, Error::NoTls { address } if address.starts_with("127.0.0.1:")), "{error:?}");

    let socket = server.socket().to_str().unwrap().to_owned();
    // The mode does not count there.
    let over_socket = Options { host: socket, tls: TlsMode::VerifyFull, ..right.clone() };
    sql::connect(&over_socket).await.unwrap().close().await;
    let nowhere = Options { host: "/nowhere/at.all".into(), ..right.clone() };
    let error = sql::connect(&nowhere).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && error.class() == Class::Transient, "{error:?}");
    let none = Options { database: "nonesuch".into(), user: "root".into(), password: None, ..right.clone() };
    assert_eq!(sql::connect(&none).await.unwrap_err().code().as_deref(), Some("1049"));

    let error = sql::connect(&Options { flavor: Flavor::Mysql, ..right.clone() }).await.unwrap_err();
    let Error::OtherFlavor { configured: Flavor::Mysql, found: Flavor::Mariadb, .. } = &error else {
        panic!("{error:?}")
    };
    let Class::Operator { hint } = error.class() else { panic!() };
    assert!(hint.contains("kind = \"mariadb\""), "{hint}");

    the_session_is_ours(&right).await;
    assert!(connect(&server).await.version() >= 100_200);
}

/// Whatever the server is set to.
async fn the_session_is_ours(options: &Options) {
    let mut connection = sql::connect(options).await.unwrap();
    let row = connection
        .row(
            "select @@time_zone, @@sql_mode, @@character_set_results, @@character_set_client, @@max_statement_time, \
             @@tx_isolation, cast('\\\\' as char), 'é😀', length('é😀'), @@sql_select_limit",
        )
        .await
        .unwrap()
        .unwrap();
    let want = ["+00:00", "", "utf8mb4", "utf8mb4", "0.000000", "REPEATABLE-READ", "\\", "é😀", "6"];
    assert_eq!((0..want.len()).map(|at| row.text(at).unwrap()).collect::<Vec<_>>(), want);
    assert!(row.number::<u64>(9).unwrap() > 1 << 40);
    let named = connection
        .row(
            "select attr_value from performance_schema.session_connect_attrs \
             where processlist_id = connection_id() and attr_name = 'program_name'",
        )
        .await
        .unwrap();
    assert_eq!(named.unwrap().text(0), Some("passerelle"));
}

/// A server of before its certificates: it offers no TLS. Sends its greeting.
async fn greet(listener: &TcpListener, plugin: &str) -> TcpStream {
    let (mut peer, _) = listener.accept().await.unwrap();
    let greeting = [
        &[10][..],
        b"8.0.40\0",
        &7_u32.to_le_bytes(),
        b"12345678\0",
        // CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION; no CLIENT_SSL. CLIENT_PLUGIN_AUTH.
        &0x8200_u16.to_le_bytes(),
        &[45, 2, 0],
        &0x0008_u16.to_le_bytes(),
        &[21],
        &[0; 10],
        b"123456789012\0",
        plugin.as_bytes(),
        &[0],
    ]
    .concat();
    peer.write_all(&packet(0, &greeting)).await.unwrap();
    peer
}

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    [&[body.len() as u8, 0, 0, sequence][..], body].concat()
}

/// A peer that asks for the password in clear text; answers what it was sent after that.
async fn asks_for_clear_text(listener: TcpListener, tls: TlsMode) -> Vec<u8> {
    if tls == TlsMode::Prefer {
        // The first time it is asked for TLS, which it does not have.
        greet(&listener, "mysql_native_password").await;
    }
    let mut peer = greet(&listener, "mysql_native_password").await;
    let mut answer = [0; 4096];
    assert!(peer.read(&mut answer).await.unwrap() > 36);
    peer.write_all(&packet(2, b"\xfemysql_clear_password\0")).await.unwrap();
    let mut said = Vec::new();
    let _ = peer.read_to_end(&mut said).await;
    said
}

#[tokio::test]
async fn my_17_no_password_goes_out_in_clear_text() {
    for tls in [TlsMode::Disable, TlsMode::Prefer] {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Options { port, tls, password: Some("geheim".into()), ..to("127.0.0.1") };
        let both = async { tokio::join!(asks_for_clear_text(listener, tls), sql::connect(&options)) };
        let (said, connected) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
        assert_eq!(connected.unwrap_err(), Error::CleartextRefused);
        assert!(!said.windows(6).any(|bytes| bytes == b"geheim"));
    }
}

#[tokio::test]
async fn answers_that_no_server_gives_are_an_error_and_nothing_else() {
    // The password is asked for in full, and a key that has no bytes is to protect it; a challenge without bytes.
    for answers in
        [&[&b"\x01\x04"[..], b""][..], &[b"\xfecaching_sha2_password\0", b"\x01\x04", b"x"], &[b""], &[b"\xfe"]]
    {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Options { port, password: Some("geheim".into()), ..to("127.0.0.1") };
        let peer = async {
            let mut peer = greet(&listener, "caching_sha2_password").await;
            let mut heard = [0; 4096];
            for (at, answer) in answers.iter().enumerate() {
                let _ = peer.read(&mut heard).await;
                let _ = peer.write_all(&packet(2 + 2 * at as u8, answer)).await;
            }
            let _ = peer.read(&mut heard).await;
        };
        let both = async { tokio::join!(peer, sql::connect(&options)) };
        let ((), connected) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
        let error = connected.unwrap_err();
        assert!(matches!(error, Error::Protocol(_) | Error::Closed | Error::Connect { .. }), "{error:?}");
    }
}
