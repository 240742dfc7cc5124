//! `kind = "email"`: a letter over SMTP (RFC 5321), a connection for each.

use std::time::Duration;

use jiff::Timestamp;
use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use super::chain;
use crate::alert::form;
use crate::alert::model::{Event, Message};
use crate::alert::outbox::Unsent;
use crate::config::model::{self, MailTls};

#[derive(Debug)]
pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    /// # Errors
    /// Why there can't be one, in a sentence.
    pub(super) fn new(config: &model::Email, timeout: Duration) -> Result<Self, String> {
        let tls = match config.tls {
            MailTls::None => Tls::None,
            MailTls::StartTls => Tls::Required(parameters(config)?),
            MailTls::Tls => Tls::Wrapper(parameters(config)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .tls(tls)
            .timeout(Some(timeout))
            .hello_name(ClientId::Domain(super::host().to_owned()));
        if let Some((user, password)) = &config.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        let to = config.to.iter().map(|address| mailbox(address)).collect::<Result<_, _>>();
        let from = mailbox(&config.from);
        let wrong = |error: AddressError| error.to_string();
        Ok(Self { transport: builder.build(), from: from.map_err(wrong)?, to: to.map_err(wrong)? })
    }

    pub(super) async fn send(&self, message: &Message, host: &str) -> Result<(), Unsent> {
        let letter = self.letter(message, host).map_err(Unsent::Refused)?;
        match self.transport.send(letter).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() && !is_of_the_login(error.status().map(u16::from)) => {
                Err(Unsent::Refused(chain(&error)))
            }
            Err(error) => Err(Unsent::Later(chain(&error))),
        }
    }

    fn letter(&self, message: &Message, host: &str) -> Result<Letter, String> {
        let copy = message.copy_to.as_deref().map(mailbox).transpose().map_err(|error| error.to_string())?;
        let receivers = copy.as_ref().map_or(&*self.to, std::slice::from_ref);
        let id = |event: &str| {
            let copy = if copy.is_some() { ".owner" } else { "" };
            format!("<{event}.{}{copy}@{host}>", message.channel)
        };
        let began = id(&format!("{}-{}", message.alert.id, Event::Began.word()));
        let mut letter = Letter::builder()
            .from(self.from.clone())
            .subject(form::subject(message))
            .date(std::time::SystemTime::from(message.at.max(Timestamp::UNIX_EPOCH)))
            .message_id(Some(id(&message.id)))
            // RFC 3834: no answers from machines.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Passerelle-Alert-Id", &message.id))
            .header(ContentType::TEXT_PLAIN);
        if matches!(message.event, Event::Changed | Event::Ended) {
            letter = letter.in_reply_to(began.clone()).references(began);
        }
        for receiver in receivers {
            letter = letter.to(receiver.clone());
        }
        letter.body(form::letter(message, host)).map_err(|error| error.to_string())
    }
}

fn parameters(config: &model::Email) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca {
        let pem = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| chain(&error))?);
    }
    builder.build().map_err(|error| chain(&error))
}

fn mailbox(address: &str) -> Result<Mailbox, AddressError> {
    Ok(Mailbox::new(None, address.parse::<Address>()?))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Refusals that are of the connection and not of the letter: TLS or a login wanted (530), the login refused (534, 535,
/// 538, RFC 4954), no service (554 as a greeting can't be told from a refused letter and is not here).
fn is_of_the_login(code: Option<u16>) -> bool {
    matches!(code, Some(530 | 534 | 535 | 538))
}

#[cfg(test)]
mod tests;
