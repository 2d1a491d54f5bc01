//! Sends e-mails over SMTP (RFC 5321), with TLS unless the configuration turns it off.

use std::{fs, time::Duration};

use lettre::{
    Message,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, Tls, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use tokio::time::timeout;

use super::http::{Failed, shown};
use windlass_targets::{EmailConfig, MailTls};
use windlass_world::value::{Redactor, Secret, causes};

/// The time limit of the connection, and of the server's answer to one command.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time limit of the answer to the text of an e-mail, which a server may examine before it takes it.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// The time limit of a farewell, which nothing depends on.
const FAREWELL: Duration = Duration::from_secs(5);
/// After how many failed attempts a recipient that is rejected for now does not keep an e-mail from the others: those of about eight minutes,
/// longer than most servers reject one that they do not know yet (greylisting).
const ATTEMPTS_FOR_ALL: u32 = 11;

/// Why an e-mail was not delivered.
struct Undelivered {
    /// `None` if the server did not answer in time.
    error: Option<Error>,
    /// Whether the server rejected the e-mail itself, and not the login, the sender or the recipients: those are configured, and are right
    /// again once a person has corrected them.
    is_contents: bool,
}

impl From<Error> for Undelivered {
    fn from(error: Error) -> Self {
        Self {
            error: Some(error),
            is_contents: false,
        }
    }
}

impl Undelivered {
    /// Returns the failure of an attempt.
    fn failed(self, redactor: &Redactor) -> Failed {
        match self.error {
            Some(error) => Failed {
                is_refused: self.is_contents && error.is_permanent(),
                ..Failed::new(shown(redactor, &causes(&error)))
            },
            None => Failed::new("the mail server did not answer in time"),
        }
    }
}

/// Waits for the server's answer: a server that says nothing must not stop the notifications.
async fn answered<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Undelivered> {
    match timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Undelivered {
            error: None,
            is_contents: false,
        }),
    }
}

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

    /// Sends a text, after some failed attempts to. `id` is the same for every attempt, so that a mail program shows a repeated e-mail once.
    pub async fn send(
        &self,
        id: &str,
        subject: &str,
        text: String,
        attempts: u32,
    ) -> Result<(), Failed> {
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
        let (mut secrets, mut credentials) = (Vec::new(), None);
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
            credentials = Some(Credentials::new(user.clone(), password));
        }
        let redactor = Redactor::of_call(&secrets);
        let is_for_all = attempts < ATTEMPTS_FOR_ALL;
        let sent = self.deliver(credentials, &message, is_for_all, &redactor);
        sent.await.map_err(|why| why.failed(&redactor))
    }

    /// Delivers an e-mail to those of its recipients that the server accepts. If one is rejected for now and it `is_for_all`, nobody gets it
    /// yet.
    async fn deliver(
        &self,
        credentials: Option<Credentials>,
        message: &Message,
        is_for_all: bool,
        redactor: &Redactor,
    ) -> Result<(), Undelivered> {
        let (name, address) = (ClientId::default(), (&*self.config.host, self.port()));
        let (at_once, later) = match &self.tls {
            Tls::Wrapper(parameters) => (Some(parameters.clone()), None),
            Tls::Required(parameters) => (None, Some(parameters.clone())),
            _ => (None, None),
        };
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(PATIENCE), &name, at_once, None);
        let mut server = answered(PATIENCE, connecting).await?;
        if let Some(parameters) = later {
            answered(PATIENCE, server.starttls(parameters, &name)).await?;
        }
        if let Some(credentials) = credentials {
            answered(PATIENCE, server.auth(DEFAULT_MECHANISMS, &credentials)).await?;
        }
        let (envelope, text) = (message.envelope(), message.formatted());
        let mut options = Vec::new();
        // RFC 6531 and RFC 6152. A server that announces neither rejects what it can't take.
        let mut addresses = envelope.from().into_iter().chain(envelope.to());
        if addresses.any(|address| !address.to_string().is_ascii()) {
            options.push(MailParameter::SmtpUtfEight);
        }
        if !text.is_ascii()
            && server
                .server_info()
                .supports_feature(Extension::EightBitMime)
        {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = Mail::new(envelope.from().cloned(), options);
        answered(PATIENCE, server.command(from)).await?;
        let mut rejected = Vec::new();
        for to in envelope.to() {
            let command = server.command(Rcpt::new(to.clone(), Vec::new()));
            match answered(PATIENCE, command).await {
                Ok(_) => {}
                Err(Undelivered {
                    error: Some(error), ..
                }) if error.is_permanent() || (error.is_transient() && !is_for_all) => {
                    rejected.push((to, error));
                }
                Err(why) => return Err(why),
            }
        }
        if rejected.len() == envelope.to().len()
            && let Some((_, error)) = rejected.pop()
        {
            return Err(error.into());
        }
        answered(PATIENCE, server.command(Data)).await?;
        let taken = answered(LONG_PATIENCE, server.message(&text)).await;
        taken.map_err(|why| Undelivered {
            is_contents: true,
            ..why
        })?;
        for (to, error) in rejected {
            let why = shown(redactor, &causes(&error));
            tracing::error!(%to, %why, "the mail server rejects a recipient; the others got the notification");
        }
        // It was delivered, however the connection ends.
        let _ = timeout(FAREWELL, server.abort()).await;
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    use super::*;

    /// Serves one connection; answers a command that begins with a text with the line beside it. Returns the commands.
    fn serve(listener: TcpListener, answers: &'static [(&str, &str)]) -> JoinHandle<Vec<String>> {
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let lines = BufReader::new(stream.try_clone().expect("the same socket")).lines();
            stream.write_all(b"220 mail.example\r\n").expect("sent");
            let (mut said, mut is_text) = (Vec::new(), false);
            for line in lines.map_while(Result::ok) {
                if is_text && line != "." {
                    continue;
                }
                let known = answers
                    .iter()
                    .find(|(command, _)| line.starts_with(command));
                let answer = match (known, &*line) {
                    (Some((_, answer)), _) => answer,
                    (None, "DATA") => "354 go on",
                    (None, _) if line.starts_with("EHLO") => "250-mail.example\r\n250 AUTH PLAIN",
                    (None, _) => "250 ok",
                };
                is_text = answer.starts_with("354");
                said.push(line);
                if stream
                    .write_all(format!("{answer}\r\n").as_bytes())
                    .is_err()
                {
                    break;
                }
            }
            said
        })
    }

    fn send(answers: &'static [(&str, &str)], attempts: u32) -> (Result<(), Failed>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let config = EmailConfig {
            host: "127.0.0.1".into(),
            port: Some(listener.local_addr().expect("an address").port()),
            tls: MailTls::Never,
            ca_file: None,
            user: Some("alerts".into()),
            password_file: None,
            from: "windlass@example.com".into(),
            to: vec!["gone@example.com".into(), "ops@example.com".into()],
        };
        let serving = serve(listener, answers);
        let threads = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("threads");
        let mailer = Mailer::new(&config).expect("a receiver");
        let sent = mailer.send("id", "a subject", "a text".into(), attempts);
        let sent = threads.block_on(sent);
        drop(threads);
        (sent, serving.join().expect("served"))
    }

    #[test]
    fn only_the_contents_of_an_e_mail_are_given_up_early() {
        const CONFIGURED: [&[(&str, &str)]; 4] = [
            &[("AUTH", "535 wrong password")],
            &[("MAIL", "553 not your address")],
            &[("RCPT", "554 relaying denied")],
            &[("RCPT TO:<ops", "451 try again later")],
        ];
        for answers in CONFIGURED {
            let (sent, said) = send(answers, 0);
            let failed = sent.expect_err("not delivered");
            assert!(!failed.is_refused, "{answers:?}: {}", failed.why);
            assert!(!said.contains(&"DATA".to_owned()), "{said:?}");
        }
        let (sent, _) = send(&[(".", "554 this looks like spam")], 0);
        let failed = sent.expect_err("not delivered");
        assert!(
            failed.is_refused && failed.why.contains("554"),
            "{}",
            failed.why
        );
        let (sent, _) = send(&[(".", "452 no room")], 0);
        assert!(!sent.expect_err("not delivered").is_refused);
    }

    #[test]
    fn a_rejected_recipient_does_not_keep_an_e_mail_from_the_others() {
        const REJECTED: [(&[(&str, &str)], u32); 2] = [
            (&[("RCPT TO:<gone", "550 no such user")], 0),
            (&[("RCPT TO:<gone", "452 mailbox full")], ATTEMPTS_FOR_ALL),
        ];
        for (answers, attempts) in REJECTED {
            let (sent, said) = send(answers, attempts);
            assert!(sent.is_ok(), "{sent:?}");
            assert!(said.contains(&".".to_owned()), "{said:?}");
        }
        let (sent, _) = send(&[("RCPT", "452 mailbox full")], ATTEMPTS_FOR_ALL);
        assert!(!sent.expect_err("nobody takes it").is_refused);
    }

    #[test]
    fn a_silent_server_is_a_failure() {
        let threads = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("threads");
        let silence = std::future::pending::<Result<(), Error>>();
        let waited = threads.block_on(async { answered(Duration::from_millis(1), silence).await });
        let why = waited.expect_err("no answer");
        let failed = why.failed(&Redactor::of_call(&[]));
        assert!(!failed.is_refused && failed.why.contains("in time"));
    }
}
