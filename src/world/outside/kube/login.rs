//! The logins of a kubeconfig: tokens, token files, passwords and exec plugins.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use http::HeaderValue;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;

use super::plugin::Plugin;
use windlass_ground::lock;

/// How long a token from a file is used before the file is read again, as in client-go: the kubelet changes it.
const REREAD: Duration = Duration::from_secs(60);

/// How requests to a cluster authenticate.
#[derive(Clone, Debug)]
pub enum Login {
    /// By a certificate, by an `auth-provider`, or without a login.
    Elsewhere,
    Header(HeaderValue),
    File(Arc<TokenFile>),
    Plugin(Arc<Plugin>),
}

/// The reason why there is no login.
#[derive(Clone, Debug)]
pub struct Denied {
    pub why: String,
    pub hint: Option<String>,
}

/// A file with a token, which changes from time to time.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    /// The token in the kubeconfig itself, which is used if the file can't be read.
    otherwise: Option<HeaderValue>,
    read: Mutex<Option<(HeaderValue, Instant)>>,
}

impl Denied {
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hint: None,
        }
    }

    pub fn with_hint(self, hint: String) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }
}

impl Login {
    /// Takes the login from a user of a kubeconfig, in client-go's order; the rest is for the `kube` crate.
    pub fn take(user: &mut AuthInfo) -> Result<Self, Denied> {
        if user.auth_provider.is_some() {
            return Ok(Self::Elsewhere);
        }
        let token = user.token.take();
        let token = token.filter(|token| !token.expose_secret().trim().is_empty());
        let token = token
            .map(|token| bearer(token.expose_secret()))
            .transpose()?;
        let exec = user.exec.take();
        if let Some(path) = user.token_file.take().filter(|path| !path.is_empty()) {
            return Ok(Self::File(Arc::new(TokenFile {
                path: path.into(),
                otherwise: token,
                read: Mutex::default(),
            })));
        }
        if let Some(token) = token {
            return Ok(Self::Header(token));
        }
        if let (Some(name), Some(password)) = (&user.username, &user.password) {
            let pair = format!("{name}:{}", password.expose_secret());
            let header = header("Basic", &BASE64.encode(pair.as_bytes()))?;
            (user.username, user.password) = (None, None);
            return Ok(Self::Header(header));
        }
        Ok(exec.map_or(Self::Elsewhere, |exec| Self::Plugin(Plugin::of(exec))))
    }

    /// Returns the value of the `Authorization` header.
    pub async fn header(&self) -> Result<Option<HeaderValue>, Denied> {
        match self {
            Self::Elsewhere => Ok(None),
            Self::Header(header) => Ok(Some(header.clone())),
            Self::File(file) => file.token().map(Some),
            Self::Plugin(plugin) => plugin.token().await,
        }
    }

    /// Discards the login that the API server rejected with 401; returns whether a new login may succeed.
    pub async fn refused(&self, sent: Option<&HeaderValue>) -> bool {
        match self {
            Self::Elsewhere | Self::Header(_) => false,
            Self::File(file) => file.refused(sent),
            Self::Plugin(plugin) => plugin.refused(sent).await,
        }
    }
}

impl TokenFile {
    fn token(&self) -> Result<HeaderValue, Denied> {
        let mut read = lock(&self.read);
        if let Some((token, at)) = &*read
            && at.elapsed() < REREAD
        {
            return Ok(token.clone());
        }
        match read_token(&self.path) {
            Ok(token) => {
                *read = Some((token.clone(), Instant::now()));
                Ok(token)
            }
            // Some programs delete the file after it has been read.
            Err(denied) => match &*read {
                Some((token, _)) => Ok(token.clone()),
                None => self.otherwise.clone().ok_or(denied),
            },
        }
    }

    fn refused(&self, sent: Option<&HeaderValue>) -> bool {
        let Ok(now) = read_token(&self.path) else {
            return false;
        };
        let is_new = sent != Some(&now);
        *lock(&self.read) = Some((now, Instant::now()));
        is_new
    }
}

fn read_token(path: &Path) -> Result<HeaderValue, Denied> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|e| Denied::new(format!("can't read the token file {shown}: {e}")))?;
    match text.trim() {
        "" => Err(Denied::new(format!("the token file {shown} is empty"))),
        text => bearer(text),
    }
}

/// Returns the header of a bearer token, without the line break of the file that contained it.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, Denied> {
    header("Bearer", token.trim())
}

fn header(scheme: &str, value: &str) -> Result<HeaderValue, Denied> {
    let mut header = HeaderValue::try_from(format!("{scheme} {value}")).map_err(|_| {
        Denied::new("the token of this context holds characters that can't be sent, such as a line break in its middle")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(yaml: &str) -> AuthInfo {
        let text = format!("users: [{{ name: u, user: {yaml} }}]");
        let read = kube::config::Kubeconfig::from_yaml(&text).expect("a kubeconfig");
        read.auth_infos[0].auth_info.clone().expect("a user")
    }

    #[test]
    fn c2_a_token_may_end_in_a_line_break() {
        let login = Login::take(&mut user(r#"{ token: "abc\n" }"#)).expect("a login");
        assert!(matches!(login, Login::Header(header) if header == "Bearer abc"));
        let denied = Login::take(&mut user(r#"{ token: "secret\nsecret" }"#))
            .expect_err("a line break in it");
        assert!(!denied.why.contains("secret"), "{}", denied.why);
    }

    #[test]
    fn c2_a_token_file_is_read_trimmed_and_goes_before_the_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let mut user = user(&format!(
            "{{ token: other, tokenFile: {} }}",
            path.display()
        ));
        let Ok(Login::File(file)) = Login::take(&mut user) else {
            panic!("not a file");
        };
        assert_eq!(file.token().expect("the other"), "Bearer other");
        fs::write(&path, "one\r\n").expect("written");
        assert_eq!(file.token().expect("that of the file"), "Bearer one");
        fs::write(&path, "two\n").expect("written");
        assert_eq!(file.token().expect("for a minute"), "Bearer one");
        let one = HeaderValue::from_static("Bearer one");
        assert!(file.refused(Some(&one)), "another one is there");
        assert_eq!(file.token().expect("that of the file"), "Bearer two");
    }
}
