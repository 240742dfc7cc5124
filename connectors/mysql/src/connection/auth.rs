//! Authentication (MY-17): `mysql_native_password`, `caching_sha2_password`, `ed25519`, and the password itself where
//! nobody else reads it.

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use mysql_common::packets::AuthPlugin;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use secrecy::ExposeSecret;

use super::greeting::{Greeting, Login};
use super::{Connection, ERROR, OK, server_error};
use crate::wire::{Malformed, Reader};
use crate::{Error, Options};

/// More steps than any of them has.
const MAX_STEPS: usize = 10;

/// The server asks for another way than it said.
const SWITCH: u8 = 0xfe;
/// The next step of the way at hand.
const MORE: u8 = 0x01;

/// Answers the server until it is content.
pub(super) async fn authenticate(
    connection: &mut Connection,
    options: &Options,
    greeting: &Greeting,
    login: Login,
) -> Result<(), Error> {
    let password = options.password.as_ref().map_or("", |password| password.expose_secret());
    let mut nonce = greeting.nonce.clone();
    // What the server prefers may be a way that its users do not have, or that we do not.
    let mut plugin = match AuthPlugin::from_bytes(&greeting.plugin) {
        AuthPlugin::CachingSha2Password => AuthPlugin::CachingSha2Password,
        _ => AuthPlugin::MysqlNativePassword,
    };
    let proof = plugin.gen_data(Some(password), &nonce);
    let is_protected = connection.socket.is_tls();
    connection.send(&login.packet(is_protected, plugin.as_bytes(), proof.as_deref().unwrap_or_default())).await?;
    for _ in 0..MAX_STEPS {
        let packet = connection.packet().await?;
        match packet.split_first() {
            Some((&OK, _)) => return Ok(()),
            Some((&ERROR, _)) => return Err(server_error(&packet).unwrap_or(Error::Closed)),
            Some((&SWITCH, [])) => return Err(Error::Authentication("mysql_old_password".into())),
            Some((&SWITCH, body)) => {
                let mut read = Reader(body);
                let name = read.until_zero()?;
                nonce = read.0.strip_suffix(&[0]).unwrap_or(read.0).to_vec();
                plugin = AuthPlugin::from_bytes(name).into_owned();
                let answer = switched(&plugin, password, &nonce, connection.socket.is_private())?;
                connection.send(&answer).await?;
            }
            // The server has seen the password before, and content follows.
            Some((&MORE, [3])) if plugin == AuthPlugin::CachingSha2Password => {}
            Some((&MORE, [4])) if plugin == AuthPlugin::CachingSha2Password => {
                whole_password(connection, password, &nonce).await?;
            }
            _ => return Err(Malformed("a step of authentication that is not known").into()),
        }
    }
    Err(Malformed("an authentication without an end").into())
}

/// The proof by the way that the server asks for.
fn switched(plugin: &AuthPlugin<'_>, password: &str, nonce: &[u8], is_private: bool) -> Result<Vec<u8>, Error> {
    match plugin {
        AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password | AuthPlugin::Ed25519 => {
            Ok(plugin.gen_data(Some(password), nonce).map(|proof| proof.to_vec()).unwrap_or_default())
        }
        AuthPlugin::MysqlClearPassword if is_private => Ok(terminated(password)),
        AuthPlugin::MysqlClearPassword => Err(Error::CleartextRefused),
        AuthPlugin::MysqlOldPassword | AuthPlugin::MariadbParsec { .. } | AuthPlugin::Other(_) => {
            let name = String::from_utf8_lossy(plugin.as_bytes());
            Err(Error::Authentication(name.chars().filter(|char| !char.is_control()).take(100).collect()))
        }
    }
}

/// `caching_sha2_password` wants the password itself: as it is where nobody reads it, else by the server's public key.
async fn whole_password(connection: &mut Connection, password: &str, nonce: &[u8]) -> Result<(), Error> {
    const ASK_FOR_KEY: u8 = 0x02;
    if connection.socket.is_private() {
        return connection.send(&terminated(password)).await;
    }
    connection.send(&[ASK_FOR_KEY]).await?;
    let packet = connection.packet().await?;
    let key = packet.strip_prefix(&[MORE]).ok_or(Malformed("an answer that is no public key"))?;
    let sealed = sealed(password, nonce, key).ok_or(Malformed("a public key that is none"))?;
    connection.send(&sealed).await
}

fn terminated(password: &str) -> Vec<u8> {
    [password.as_bytes(), &[0]].concat()
}

/// The password, mixed with the nonce, by RSA with OAEP ("Caching_sha2_password information" of MySQL's source).
fn sealed(password: &str, nonce: &[u8], pem: &[u8]) -> Option<Vec<u8>> {
    let mixed: Vec<u8> = terminated(password).iter().zip(nonce.iter().cycle()).map(|(byte, mix)| byte ^ mix).collect();
    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(key.as_ref()).ok()?).ok()?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let length = key.encrypt(&OAEP_SHA1_MGF1SHA1, &mixed, &mut sealed, None).ok()?.len();
    sealed.truncate(length);
    Some(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn my_17_the_password_itself_is_for_nobody_else() {
        assert_eq!(switched(&AuthPlugin::MysqlClearPassword, "secret", b"n", false), Err(Error::CleartextRefused));
        assert_eq!(switched(&AuthPlugin::MysqlClearPassword, "secret", b"n", true), Ok(b"secret\0".to_vec()));
        let unknown = AuthPlugin::Other(b"authentication_kerberos\x07".into());
        assert_eq!(
            switched(&unknown, "secret", b"n", true),
            Err(Error::Authentication("authentication_kerberos".into()))
        );
        assert_eq!(switched(&AuthPlugin::MysqlNativePassword, "", b"n", false), Ok(Vec::new()));
        assert_eq!(sealed("secret", b"n", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), None);
    }
}
