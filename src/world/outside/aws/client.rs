use std::{
    collections::BTreeMap,
    fs,
    ops::RangeInclusive,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_types::SdkConfig;
use serde::Deserialize;
use tokio::sync::{Mutex, OnceCell};
use windlass_ground::boxed;

use super::{
    check::{Unfit, check, sealed},
    failure::{headers, of_answer, of_transport},
    host::{EndpointName, Place, Variant, of_aws},
    model::{Operation, Service},
    pages::Pages,
    read::{Answer, is_embedded_error, result},
    sign::{self, Scope},
    write::{Unsigned, request},
};
use crate::{
    outside::{
        backoff,
        http::{by_proxy, read_authorities},
        jitter,
        pca::{
            Account, AccountId, ConnectError, Identity, PcaTarget, no_credentials, own_endpoint,
            settings,
        },
        proxy::Proxies,
        trace::{TRACEPARENT_HEADER, traceparent},
    },
    value::{Failure, FailureClass, Proof, Value, causes},
};

/// The credentials and servers for AWS. Settings that are left out are taken from `pca` of the same target, and then from the
/// usual AWS places: environment, profile, instance role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { region = \"us-east-1\", profile = \"ops\" }"
)]
pub struct AwsTarget {
    pub region: Option<String>,
    /// The profile whose credentials are used, rather than those of the environment; like `aws --profile`.
    pub profile: Option<String>,
    /// The only account that may be used. Nothing is done in another one.
    pub account: Option<AccountId>,
    /// A server for the protocols of all services, such as moto or LocalStack; like `aws --endpoint-url`.
    pub endpoint: Option<String>,
    /// A server for each service: `{ secretsmanager = "https://…" }`. It takes precedence over `endpoint`.
    #[serde(default)]
    pub endpoints: BTreeMap<EndpointName, String>,
    pub fips: Option<bool>,
    pub dual_stack: Option<bool>,
    /// A file of CAs to trust instead of those of the system, PEM; it takes precedence over `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
}

impl AwsTarget {
    /// Adds the settings of `pca` of the same target, except its endpoint, which is only for Private CA.
    pub fn or(self, pca: &PcaTarget) -> Self {
        Self {
            region: self.region.or_else(|| pca.region.clone()),
            profile: self.profile.or_else(|| pca.profile.clone()),
            account: self.account.or_else(|| pca.account.clone()),
            fips: self.fips.or(pca.fips),
            dual_stack: self.dual_stack.or(pca.dual_stack),
            ca_bundle: self.ca_bundle.or_else(|| pca.ca_bundle.clone()),
            ..self
        }
    }

    /// Returns the settings in the form that the reader of AWS's configuration takes.
    fn settings(&self) -> PcaTarget {
        PcaTarget {
            region: self.region.clone(),
            profile: self.profile.clone(),
            account: self.account.clone(),
            fips: self.fips,
            dual_stack: self.dual_stack,
            ca_bundle: self.ca_bundle.clone(),
            ..PcaTarget::default()
        }
    }
}

/// Calls AWS services. It connects at the first call.
#[derive(Clone, Debug)]
pub struct AwsClient {
    reach: Arc<Reach>,
    connected: Arc<OnceCell<Connected>>,
}

#[derive(Debug)]
enum Reach {
    Target(AwsTarget),
    /// An embedded server of AWS Private CA, without other services.
    Embedded {
        endpoint: String,
        region: String,
        key: (String, String),
    },
    Nowhere,
}

#[derive(Debug)]
struct Connected {
    config: SdkConfig,
    http: reqwest::Client,
    /// The account of the credentials; `None` for an embedded server, which has none.
    account: Option<Account>,
    /// The credentials that were used last.
    credentials: Mutex<Option<Credentials>>,
}

/// One call, checked and ready to be sent.
#[derive(Clone, Debug)]
pub struct AwsCall {
    pub service: Arc<Service>,
    pub operation: String,
    pub params: Value,
    pub timeout: Duration,
    /// Whether it may be sent again when it is not known whether it was made.
    pub is_repeatable: bool,
    /// Whether it changes nothing.
    pub is_read: bool,
}

/// Answers are stored in the journal, which takes 1 MiB for a call including everything around it.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Covers a lost packet or short throttling; longer trouble is for the step's `retry`, which is journaled.
const ATTEMPTS: u32 = 4;
/// The pause after the first attempt, and after the last but one.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_millis(800);
/// Credentials that end sooner are renewed, as the SDK does.
const MARGIN: Duration = Duration::from_secs(300);

impl AwsCall {
    fn operation(&self) -> Option<&Operation> {
        self.service.operations.get(&self.operation)
    }

    /// Returns how its operation returns a long result, if it does so in pages.
    pub fn pages(&self) -> Option<&Pages> {
        self.operation()?.pages.as_ref()
    }

    /// Checks the params against the model.
    ///
    /// # Errors
    /// The first param that does not match.
    pub fn check(&self) -> Result<(), Unfit> {
        match self.operation() {
            Some(operation) => check(&self.service, operation, &self.params),
            None => Ok(()),
        }
    }

    /// Returns the params for the record, the sensitive ones as secrets.
    pub fn sealed_params(&self) -> Value {
        match self.operation() {
            Some(operation) => sealed(&self.service, operation, &self.params),
            None => self.params.clone(),
        }
    }
}

impl AwsClient {
    pub fn new(target: AwsTarget) -> Self {
        Self::of(Reach::Target(target))
    }

    /// Creates a client for an embedded server of AWS Private CA, which rejects calls to all other services.
    pub fn embedded(endpoint: &str, region: &str, (id, secret): (&str, &str)) -> Self {
        Self::of(Reach::Embedded {
            endpoint: endpoint.into(),
            region: region.into(),
            key: (id.into(), secret.into()),
        })
    }

    pub fn nowhere() -> Self {
        Self::of(Reach::Nowhere)
    }

    fn of(reach: Reach) -> Self {
        Self {
            reach: Arc::new(reach),
            connected: Arc::default(),
        }
    }

    /// Reads the AWS configuration, and checks the account of the credentials if the target names one. Otherwise, no request is made.
    ///
    /// # Errors
    /// What prevents the connection: a profile that does not exist, or another account than the target's.
    #[boxed]
    pub async fn connect(&self) -> Result<(), ConnectError> {
        if let Reach::Target(target) = &*self.reach {
            self.connected.get_or_try_init(|| connect(target)).await?;
        }
        Ok(())
    }

    /// Returns the identity of the credentials, and the region; STS is asked once. `None` on the embedded server.
    ///
    /// # Errors
    /// The same as of [`AwsClient::connect`].
    pub async fn identity(&self) -> Result<Option<(&Identity, Option<&str>)>, ConnectError> {
        let Reach::Target(target) = &*self.reach else {
            return Ok(None);
        };
        let connected = self.connected.get_or_try_init(|| connect(target)).await?;
        Ok(match &connected.account {
            Some(account) => Some((account.identity().await, account.region.as_deref())),
            None => None,
        })
    }

    /// Sends a call, with retries if they are safe, and reads its result.
    ///
    /// # Errors
    /// An error of AWS, or the reason why it could not be called.
    #[boxed]
    pub async fn call(&self, call: &AwsCall) -> Result<Value, Failure> {
        let (mut attempts, mut is_in_doubt) = (0, false);
        loop {
            attempts += 1;
            let failure = match self.attempt(call).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let may_be_done = failure.may_be_done() && !call.is_read;
            is_in_doubt |= may_be_done;
            let passes = matches!(
                failure.class,
                FailureClass::Throttled | FailureClass::Timeout | FailureClass::Unavailable
            ) && failure.code != "NoCredentials";
            let is_safe = !may_be_done || (call.is_repeatable && !failure.is_done);
            if attempts >= ATTEMPTS || !passes || !is_safe {
                return Err(match () {
                    () if call.is_read => failure.proving(Proof::NotDone),
                    // The last attempt was rejected, which proves nothing about the one before.
                    () if is_in_doubt && !failure.is_done => failure.proving(Proof::Unknown),
                    () => failure,
                });
            }
            tokio::time::sleep(backoff(PAUSES, attempts, jitter())).await;
        }
    }

    /// Sends a read once for each page of its result, and joins the lists.
    ///
    /// # Errors
    /// The same as of [`AwsClient::call`], or a result of more than `most` pages.
    #[boxed]
    pub async fn call_pages(&self, call: &AwsCall, most: usize) -> Result<Value, Failure> {
        let rejected = |code: &str, why: String| {
            let failure = Failure::new(FailureClass::Rejected, call.operation.as_str(), code, why);
            failure.proving(Proof::NotDone)
        };
        let Some(pages) = call.pages() else {
            let why = format!("{} gives its result in one piece", call.operation);
            return Err(rejected("NoPages", why));
        };
        let (mut call, mut whole) = (call.clone(), Value::map::<String>([]));
        for number in 0..most {
            let page = self.call(&call).await?;
            if number == 0 {
                whole = pages.said_once(&page);
            }
            pages.join(&mut whole, &page);
            match pages.next(&page) {
                None => return Ok(whole),
                Some(next) if pages.is_asked(&call.params, &next) => {
                    let why = "the service names the same page twice".to_owned();
                    return Err(rejected("SamePage", why));
                }
                Some(next) => pages.ask(&mut call.params, next),
            }
        }
        let why = match most {
            1 => "the result has more than one page".to_owned(),
            most => format!("the result has more than {most} pages"),
        };
        Err(rejected("TooManyPages", why).with_hint("ask for less, or raise `pages`"))
    }

    async fn attempt(&self, call: &AwsCall) -> Result<Value, Failure> {
        let name = &call.operation;
        let rejected = |code: &str, why: String| {
            Failure::new(FailureClass::Rejected, name.as_str(), code, why)
        };
        let Some(operation) = call.operation() else {
            let why = format!("{} has no operation `{name}`", call.service.name);
            return Err(rejected("UnknownOperation", why));
        };
        let connected = self.connected(name, &call.service).await?;
        let unsigned = request(&call.service, name, operation, &call.params)
            .map_err(|why| rejected("BadRequest", why))?;
        let unsigned = with_checksum(operation, unsigned);
        let place = self.place(connected, &call.service, operation, name)?;
        let url = match unsigned.query.as_str() {
            "" => format!("{}{}", place.endpoint, unsigned.path),
            query => format!("{}{}?{query}", place.endpoint, unsigned.path),
        };
        let credentials = self.credentials(connected, name).await?;
        let scope = Scope {
            region: &place.region,
            service: &call.service.signing,
            at: SystemTime::now(),
        };
        let signed = sign::headers(&unsigned, &url, &credentials, scope)
            .map_err(|why| rejected("BadRequest", why))?;
        let method = reqwest::Method::from_bytes(unsigned.method.as_bytes())
            .map_err(|e| rejected("BadRequest", e.to_string()))?;
        let mut builder = connected.http.request(method, &url).timeout(call.timeout);
        for (header, value) in unsigned.headers.iter().chain(&signed) {
            builder = builder.header(header, value);
        }
        // This header is not signed: proxies may change it.
        if let Some(parent) = traceparent() {
            builder = builder.header(TRACEPARENT_HEADER, parent);
        }
        let lost = |e: reqwest::Error| of_transport(name, e);
        let mut answer = builder
            .body(unsigned.body.to_vec())
            .send()
            .await
            .map_err(lost)?;
        let status = answer.status().as_u16();
        let headers = headers(&answer);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_BYTES {
                let failure = rejected("TooLarge", "the answer is larger than 1 MiB".into());
                return Err(match status {
                    200..300 => failure.proving(Proof::Done),
                    _ => failure.or_done(),
                });
            }
        }
        let answer = Answer {
            status,
            headers: &headers,
            body: &body,
        };
        match status {
            // Like the SDKs, treats it as an error of the server: the status was sent before the work was done.
            200..300 if is_embedded_error(&call.service, operation, &body) => {
                let status = 500;
                Err(of_answer(&call.service, name, Answer { status, ..answer }))
            }
            200..300 => result(&call.service, operation, answer).map_err(|why| {
                Failure::new(FailureClass::Unavailable, name.as_str(), "BadResponse", why)
                    .proving(Proof::Done)
            }),
            _ => Err(of_answer(&call.service, name, answer)),
        }
    }

    async fn connected(&self, name: &str, service: &Service) -> Result<&Connected, Failure> {
        let rejected =
            |code: &str, why: String| Failure::new(FailureClass::Rejected, name, code, why);
        match &*self.reach {
            Reach::Nowhere => Err(rejected("NoAws", "there is no AWS here".into())),
            Reach::Embedded { .. } if service.name != "acm-pca" => Err(rejected(
                "NoAws",
                format!(
                    "the target `local` has AWS Private CA (`acm-pca`) and no other service of AWS, so not `{}`",
                    service.name
                ),
            )
            .with_hint(
                "name another target: `[targets.NAME]` with `aws = { region = \"us-east-1\" }`; its `endpoint` may be \
                 moto's server",
            )),
            Reach::Embedded { .. } => {
                let connecting = || async {
                    Ok(Connected {
                        config: SdkConfig::builder().build(),
                        http: http_client(None, Proxies::default())
                            .map_err(|why| rejected("BadConfiguration", why))?,
                        account: None,
                        credentials: Mutex::default(),
                    })
                };
                self.connected.get_or_try_init(connecting).await
            }
            Reach::Target(target) => {
                let connecting = || connect(target);
                let connected = self.connected.get_or_try_init(connecting).await;
                connected.map_err(|e| {
                    let failure = rejected("BadConfiguration", causes(&e));
                    match e.hint() {
                        Some(hint) => failure.with_hint(hint),
                        None => failure,
                    }
                })
            }
        }
    }

    fn place(
        &self,
        connected: &Connected,
        service: &Service,
        operation: &Operation,
        name: &str,
    ) -> Result<Place, Failure> {
        let target = match &*self.reach {
            Reach::Target(target) => target,
            Reach::Embedded {
                endpoint, region, ..
            } => {
                return Ok(Place {
                    endpoint: endpoint.trim_end_matches('/').into(),
                    region: region.clone(),
                });
            }
            Reach::Nowhere => {
                let why = "there is no AWS here";
                return Err(Failure::new(FailureClass::Rejected, name, "NoAws", why));
            }
        };
        let config = &connected.config;
        let Some(region) = config.region() else {
            return Err(
                Failure::new(FailureClass::Rejected, name, "NoRegion", "no region is named").with_hint(
                    "name it in the target (`aws = { region = \"us-east-1\" }`), in AWS_REGION, or in the profile",
                ),
            );
        };
        let variant = Variant {
            fips: config.use_fips().unwrap_or_default(),
            dual_stack: config.use_dual_stack().unwrap_or_default(),
        };
        let (endpoint, region) = of_aws(service, operation, region.as_ref(), variant);
        // The service's name in a section of the configuration, as AWS's other tools write it: `secrets_manager`.
        let id = service.id.to_ascii_lowercase().replace([' ', '-'], "_");
        let named = target
            .endpoints
            .get(&EndpointName(service.name.clone()))
            .or(target.endpoint.as_ref())
            .cloned()
            .or_else(|| own_endpoint(config, &id))
            .or_else(|| config.endpoint_url().map(str::to_owned));
        let named = named.map(|named| named.trim_end_matches('/').to_owned());
        match named.or(endpoint) {
            Some(endpoint) => Ok(Place { endpoint, region }),
            None => {
                let kind = match (variant.fips, variant.dual_stack) {
                    (true, true) => "FIPS and dual-stack",
                    (true, false) => "FIPS",
                    _ => "dual-stack",
                };
                let why = format!("{} has no {kind} endpoint in {region}", service.name);
                let hint = "remove `fips` or `dual_stack` from the target (or AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT), or name an endpoint in `endpoints`";
                let failure = Failure::new(FailureClass::Rejected, name, "NoEndpoint", why);
                Err(failure.with_hint(hint))
            }
        }
    }

    async fn credentials(&self, connected: &Connected, name: &str) -> Result<Credentials, Failure> {
        if let Reach::Embedded {
            key: (id, secret), ..
        } = &*self.reach
        {
            return Ok(Credentials::new(id, secret, None, None, "embedded"));
        }
        let mut held = connected.credentials.lock().await;
        let is_alive = |credentials: &Credentials| {
            credentials
                .expiry()
                .is_none_or(|expiry| expiry > SystemTime::now() + MARGIN)
        };
        if let Some(credentials) = held.as_ref().filter(|held| is_alive(held)) {
            return Ok(credentials.clone());
        }
        let Some(provider) = connected.config.credentials_provider() else {
            return Err(no_credentials(name, "no credentials found".into()));
        };
        let given = provider.provide_credentials().await;
        let given = given.map_err(|e| no_credentials(name, causes(&e)))?;
        *held = Some(given.clone());
        Ok(given)
    }
}

async fn connect(target: &AwsTarget) -> Result<Connected, ConnectError> {
    let own = target.settings();
    let found = settings(&own).await?;
    // STS is called at the same endpoint as every other service.
    let sts = target.endpoints.get(&EndpointName("sts".into()));
    let asked = match sts.or(target.endpoint.as_ref()) {
        Some(endpoint) => found.config.to_builder().endpoint_url(endpoint).build(),
        None => found.config.clone(),
    };
    let account = Account::new(&asked, asked.endpoint_url(), target.account.is_some());
    if let Some(wanted) = &target.account {
        account.hold_to(wanted).await?;
    }
    let http = http_client(found.bundle, Proxies::of_environment());
    Ok(Connected {
        config: found.config,
        http: http.map_err(ConnectError::Http)?,
        account: Some(account),
        credentials: Mutex::default(),
    })
}

fn http_client(bundle: Option<PathBuf>, proxies: Proxies) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .proxy(by_proxy(proxies))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_deflate()
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
    if let Some(bundle) = bundle {
        let text = fs::read(&bundle).map_err(|e| format!("{}: {e}", bundle.display()))?;
        let roots = read_authorities(&text).map_err(|e| format!("{}: {e}", bundle.display()))?;
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(|e| causes(&e))
}

/// Adds the digest of the body if the operation requires one (Amazon S3 User Guide, "Checking object integrity").
fn with_checksum(operation: &Operation, mut unsigned: Unsigned) -> Unsigned {
    if operation.checksum {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &unsigned.body);
        let text = data_encoding::BASE64.encode(digest.as_ref());
        unsigned
            .headers
            .push(("x-amz-checksum-sha256".into(), text));
    }
    unsigned
}
