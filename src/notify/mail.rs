//! Sends e-mails over SMTP (RFC 5321), with TLS unless the configuration turns it off.

use std::{fs, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::http::{Failed, shown};
use windlass_targets::{EmailConfig, MailTls};
use windlass_world::value::{Redactor, Secret, causes};

/// The time limit of one command to the server.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends e-mails to one receiver.
pub struct Mailer {
    config: EmailConfig,
    from: Mailbox,
    to: Vec<Mailbox>,
    tls: Tls,
}

impl Mailer {
    /// Reads addresses and certificates.
    ///
    /// # Errors
    /// Something that can't be used, as a sentence.
    pub fn new(config: &EmailConfig) -> Result<Self, String> {
        let mailbox = |text: &String| {
            let read = text.parse::<Mailbox>();
            read.map_err(|e| format!("`{text}` is not an e-mail address: {e}"))
        };
        Ok(Self {
            from: mailbox(&config.from)?,
            to: config.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            tls: tls(config)?,
            config: config.clone(),
        })
    }

    /// Sends a text. `id` is the same for every attempt, so that a mail program shows a repeated e-mail once.
    pub async fn send(&self, id: &str, subject: &str, text: String) -> Result<(), Failed> {
        let broken = |e: lettre::error::Error| Failed::new(format!("can't build the e-mail: {e}"));
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        let message = message.body(text).map_err(broken)?;
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.config.host)
                .port(self.port())
                .timeout(Some(PATIENCE))
                .tls(self.tls.clone());
        let mut secrets = Vec::new();
        if let Some(user) = &self.config.user {
            let password = self.config.password_file.as_ref().map(|file| file.read());
            let password = password
                .transpose()
                .map_err(Failed::new)?
                .unwrap_or_default();
            // A server may quote what it was sent: the password, and with AUTH PLAIN (RFC 4616) the base64 of both.
            secrets.extend([
                Secret::new(password.as_str()),
                Secret::new(format!("\0{user}\0{password}")),
            ]);
            transport = transport.credentials(Credentials::new(user.clone(), password));
        }
        match transport.build().send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Failed {
                is_refused: error.is_permanent(),
                ..Failed::new(shown(&Redactor::of_call(&secrets), &causes(&error)))
            }),
        }
    }

    fn port(&self) -> u16 {
        self.config.port.unwrap_or(match self.config.tls {
            MailTls::Starttls => 587,
            MailTls::Always => 465,
            MailTls::Never => 25,
        })
    }
}

fn tls(config: &EmailConfig) -> Result<Tls, String> {
    if config.tls == MailTls::Never {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let shown = path.display();
        let pem = fs::read(path).map_err(|e| format!("can't read {shown}: {e}"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|e| format!("{shown}: {e}"))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = parameters
        .build()
        .map_err(|e| format!("can't use TLS: {e}"))?;
    Ok(match config.tls {
        MailTls::Always => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}
