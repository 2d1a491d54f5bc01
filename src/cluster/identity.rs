//! The identity of a cluster: its CA, the server's certificate, the administrator's token, and the key that signs the tokens
//! of service accounts.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::{object::random, store::Transaction, wire::Failure};

/// Certificates of a rehearsal must be valid longer than the rehearsal lasts.
const VALIDITY: Duration = Duration::days(3650);

/// The keys and certificates of a cluster, stored in its database.
pub(crate) struct Identity {
    /// In PEM.
    pub ca: String,
    /// In PEM.
    pub certificate: String,
    /// In PEM.
    pub key: String,
    /// The administrator's bearer token.
    pub token: String,
    signer: EcdsaKeyPair,
}

/// What a client needs to use a cluster as its administrator.
#[derive(Clone)]
pub struct Access {
    /// The cluster's name, which is also the name of its context in a kubeconfig.
    pub name: String,
    /// `https://127.0.0.1:PORT`
    pub endpoint: String,
    /// The CA's certificate in PEM.
    pub ca: String,
    /// The bearer token.
    pub token: String,
}

/// Omits the token.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Returns a kubeconfig with a context for each cluster. The first one is the current context.
pub fn kubeconfig(clusters: &[Access]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = String::from("apiVersion: v1\nkind: Config\npreferences: {}\n");
    let current = clusters.first().map_or("", |first| &first.name);
    text.push_str(&format!("current-context: {}\n", quoted(current)));
    let mut section = |title: &str, entry: &dyn Fn(&Access) -> String| {
        text.push_str(title);
        text.push_str(if clusters.is_empty() { ": []\n" } else { ":\n" });
        for access in clusters {
            let name = quoted(&access.name);
            text.push_str(&format!("- name: {name}\n  {}\n", entry(access)));
        }
    };
    section("clusters", &|access| {
        let ca = data_encoding::BASE64.encode(access.ca.as_bytes());
        let server = quoted(&access.endpoint);
        format!("cluster: {{ server: {server}, certificate-authority-data: {ca} }}")
    });
    section("users", &|access| {
        format!("user: {{ token: {} }}", quoted(&access.token))
    });
    section("contexts", &|access| {
        let name = quoted(&access.name);
        format!("context: {{ cluster: {name}, user: {name} }}")
    });
    text
}

impl Identity {
    /// Creates an identity and stores it.
    pub fn create(tx: &Transaction, name: &str) -> Result<Self, Failure> {
        let failed = |error: rcgen::Error| Failure::internal(error.to_string());
        let named = |name: &str| {
            let mut subject = DistinguishedName::new();
            subject.push(DnType::CommonName, name);
            subject
        };
        let dated = |mut parameters: CertificateParams| {
            let now = OffsetDateTime::now_utc();
            parameters.not_before = now - Duration::hours(1);
            parameters.not_after = now + VALIDITY;
            parameters
        };
        let ca_key = KeyPair::generate().map_err(failed)?;
        let mut parameters = dated(CertificateParams::default());
        parameters.distinguished_name = named(&format!("{name} rehearsal CA"));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = parameters.self_signed(&ca_key).map_err(failed)?.pem();
        let issuer = Issuer::new(parameters, ca_key);

        let hosts = ["127.0.0.1", "::1", "localhost", "kubernetes.default.svc"];
        let hosts = hosts.map(str::to_owned).to_vec();
        let mut parameters = dated(CertificateParams::new(hosts).map_err(failed)?);
        parameters.distinguished_name = named("kube-apiserver");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = parameters.signed_by(&key, &issuer).map_err(failed)?.pem();
        let signer = KeyPair::generate().map_err(failed)?;

        tx.set("ca", &ca)?;
        tx.set("certificate", &certificate)?;
        tx.set("key", &key.serialize_pem())?;
        tx.set("token", &data_encoding::HEXLOWER.encode(&random::<32>()))?;
        tx.set(
            "signer",
            &data_encoding::BASE64.encode(signer.serialized_der()),
        )?;
        Self::read(tx)?.ok_or_else(|| Failure::internal("the identity was not stored"))
    }

    /// Reads the identity. Returns `None` for a new database.
    pub fn read(tx: &Transaction) -> Result<Option<Self>, Failure> {
        let settings = ["ca", "certificate", "key", "token", "signer"].map(|name| tx.setting(name));
        let [ca, certificate, key, token, signer] = settings;
        let (Some(ca), Some(certificate), Some(key), Some(token), Some(signer)) =
            (ca?, certificate?, key?, token?, signer?)
        else {
            return Ok(None);
        };
        let unreadable = || Failure::internal("the key that signs tokens can't be read");
        let signer = data_encoding::BASE64
            .decode(signer.as_bytes())
            .map_err(|_| unreadable())?;
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &signer)
            .map_err(|_| unreadable())?;
        Ok(Some(Self {
            ca,
            certificate,
            key,
            token,
            signer,
        }))
    }

    /// Signs a message with the key for tokens (ES256).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signature = self.signer.sign(&random, message);
        let signature = signature.map_err(|_| Failure::internal("can't sign a token"))?;
        Ok(signature.as_ref().to_vec())
    }

    pub fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
        let key = UnparsedPublicKey::new(algorithm, self.signer.public_key().as_ref());
        key.verify(message, signature).is_ok()
    }
}
