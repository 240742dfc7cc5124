//! A CRM behind TLS whose certificate is a private authority's: a proxy that opens TLS looks like that from here.

use std::path::Path;
use std::sync::Arc;

use passerelle_test_servers::tls::Certificates;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::table::{ACCOUNT, accounts_with};
use crate::world::World;

/// Listens with TLS on 127.0.0.1, passes on to `plain`, and gives its port. Ends with the test's runtime.
async fn front(certificate: &Path, key: &Path, plain: String) -> u16 {
    let certificates = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, plain) = (acceptor.clone(), plain.clone());
            tokio::spawn(async move {
                // A client that does not trust us goes away here.
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(plain).await.unwrap();
                // How a connection ends is its two ends' matter.
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    port
}

/// The world's configuration with the CRM at this address and these further settings. The token is given, since the
/// sandbox itself would lead who asks it for one to its own address.
fn at(world: &World, address: &str, more: &str) -> String {
    let text = world.configuration().replace(world.crm().url(), address);
    let asks = "{ method = \"client_credentials\", client_id = \"any\", client_secret = { env = \"SANDBOX_SECRET\" } }";
    let given = format!("{{ method = \"token\", token = {{ env = \"SANDBOX_SECRET\" }} }}\n{more}");
    assert!(text.contains(asks));
    text.replace(asks, &given)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_where_ca_names_it_and_only_there() {
    let world = World::new(ACCOUNT, &accounts_with("", "Name = \"name\"")).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    let folder = world.state_dir().with_file_name("tls");
    let (ours, others) = (folder.join("ours"), folder.join("others"));
    let (ours, others) = (Certificates::make(&ours, "nobody").unwrap(), Certificates::make(&others, "nobody").unwrap());
    let plain = world.crm().url().trim_start_matches("http://").to_owned();
    let port = front(&ours.server(), &ours.server_key(), plain).await;
    let config = world.daemon.borrow().config.clone();
    let by_name = format!("https://localhost:{port}");

    // Neither without it nor with another.
    let check = || {
        let (status, text) = world.daemon.borrow().cli(&["check", "--online"]);
        (status.success(), text)
    };
    for more in [String::new(), format!("ca = \"{}\"", others.ca().display())] {
        std::fs::write(&config, at(&world, &by_name, &more)).unwrap();
        let (good, text) = check();
        assert!(!good, "{text}");
        for part in ["could not be asked", "cannot connect", "an authority that is not trusted", "`ca`"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
    world.start().await;
    let error = world
        .until("the certificate to be refused", async || {
            let crm = world.status_of("crms", "sales").await?;
            crm["last_error"]["text"].as_str().map(str::to_owned)
        })
        .await;
    assert!(error.contains("an authority that is not trusted"), "{error}");
    assert_eq!((world.writes(), world.crm().stats().calls), (vec![], 0));
    world.daemon.borrow_mut().stop();

    // A path that starts at the configuration's folder, as in other settings.
    std::fs::write(&config, at(&world, &by_name, "ca = \"tls/ours/ca.crt\"")).unwrap();
    let (_, text) = check();
    assert!(text.contains("crm sales: answers"), "{text}");
    world.start().await;
    world.settled().await;
    assert_eq!(world.writes(), ["created Account a1 Name=\"Ada\""]);
    world.daemon.borrow_mut().stop();

    // The authority is trusted, and the certificate is for another name.
    let elsewhere = front(&ours.client(), &ours.client_key(), "127.0.0.1:9".to_owned()).await;
    let address = format!("https://localhost:{elsewhere}");
    std::fs::write(&config, at(&world, &address, "ca = \"tls/ours/ca.crt\"")).unwrap();
    let (good, text) = check();
    assert!(!good && text.contains("cannot connect: the server's certificate"), "{text}");
}
