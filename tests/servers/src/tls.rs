//! A throw-away certificate authority, by the `openssl` program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// PEM files of an authority, a server and a client.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes an authority, a server certificate (for `localhost` and 127.0.0.1) and a client certificate whose common
    /// name is `client`, in `folder`.
    pub fn make(folder: &Path, client: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let made = Self { folder: folder.to_owned() };
        std::fs::write(folder.join("openssl.conf"), CONFIG)?;
        made.issue("ca", "passerelle test authority", "authority", None)?;
        made.issue("server", "localhost", "server", Some("ca"))?;
        made.issue("client", client, "client", Some("ca"))?;
        Ok(made)
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// The server's certificate.
    pub fn server(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// The client's certificate.
    pub fn client(&self) -> PathBuf {
        self.folder.join("client.crt")
    }

    /// The client's key, PKCS#8.
    pub fn client_key(&self) -> PathBuf {
        self.folder.join("client.key")
    }

    fn issue(&self, name: &str, common_name: &str, extensions: &str, by: Option<&str>) -> Result<()> {
        let file = |name: &str, kind: &str| self.folder.join(format!("{name}.{kind}"));
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-batch", "-nodes", "-sha256", "-days", "3650"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .arg("-config")
            .arg(self.folder.join("openssl.conf"))
            .args(["-extensions", extensions, "-subj", &format!("/CN={common_name}")])
            .arg("-keyout")
            .arg(file(name, "key"))
            .arg("-out")
            .arg(file(name, "crt"));
        if let Some(by) = by {
            command.arg("-CA").arg(file(by, "crt")).arg("-CAkey").arg(file(by, "key"));
        }
        let done = command.output().context("cannot run openssl 3 (Debian: apt-get install openssl)")?;
        if !done.status.success() {
            bail!("openssl made no certificate: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    }
}

const CONFIG: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
[client]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
";
