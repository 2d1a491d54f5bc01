//! What all requests of a server share.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    controllers::{self, Cluster},
    identity::Identity,
    object::now,
    offline::POD_DELAY,
    options::Options,
    rollout, seed,
    store::{Store, Transaction},
    wire::Failure,
};
use windlass_ground::StoreError;

/// The options, the state, and a notification of changes.
pub(crate) struct Service {
    pub options: Options,
    pub store: Store,
    pub identity: Identity,
    /// Ends watches when the server stops.
    pub stopping: CancellationToken,
    changed: watch::Sender<()>,
}

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("can't read or create the cluster's identity: {0}")]
    Identity(String),
}

impl Service {
    /// Opens the folder. A new folder gets an identity and its initial objects.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let watched = options
            .controllers
            .as_ref()
            .map_or(&[][..], |c| c.watched());
        let store = Store::open(&options.folder, options.history, watched)?;
        let failed = |failure: Failure| OpenError::Identity(failure.to_string());
        let known = store.read(Identity::read).map_err(failed)?;
        let identity = match known {
            Some(identity) => identity,
            None => store
                .write(|tx| match Identity::read(tx)? {
                    // Another server created it first.
                    Some(identity) => Ok(identity),
                    None => {
                        let identity = Identity::create(tx, &options.name)?;
                        seed::plant(tx, now())?;
                        Ok(identity)
                    }
                })
                .map_err(failed)?,
        };
        complete(&store).map_err(failed)?;
        plant(&store, &options).map_err(failed)?;
        Ok(Self {
            options,
            store,
            identity,
            stopping: CancellationToken::new(),
            changed: watch::Sender::new(()),
        })
    }

    /// Stores how long pods take to become ready, for programs that use the folder without a server.
    pub fn store_pod_delay(&self) -> Result<(), OpenError> {
        let millis = self.options.pod_delay.as_millis().to_string();
        let failed = |failure: Failure| OpenError::Identity(failure.to_string());
        let known = self
            .store
            .read(|tx| tx.setting(POD_DELAY))
            .map_err(failed)?;
        if known.as_ref() == Some(&millis) {
            return Ok(());
        }
        self.store
            .write(|tx| tx.set(POD_DELAY, &millis))
            .map_err(failed)
    }

    /// Runs the controllers up to the present.
    pub fn catch_up(&self) -> Result<(), Failure> {
        let controllers = self.options.controllers.as_ref();
        if let Some(controllers) = controllers {
            controllers.prepare()?;
        }
        let now = now();
        let is_due = self.store.read(|tx| {
            if tx.next_wake()?.is_some_and(|at| at <= now) {
                return Ok(true);
            }
            let cluster = Cluster::new(tx, &self.options, now);
            Ok(match controllers {
                Some(controllers) => controllers.is_due(&cluster)?,
                None => false,
            })
        })?;
        if is_due {
            self.write(|_| Ok(()))
        } else {
            Ok(())
        }
    }

    /// Runs `work` on the present state, in one transaction.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done = self.store.write(|tx| {
            rollout::catch_up(tx, &self.options, now())?;
            let done = work(tx)?;
            controllers::pass_changes(tx, &self.options, now())?;
            Ok(done)
        })?;
        self.changed.send_replace(());
        Ok(done)
    }

    /// Notifies of every write of this server.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Adds what folders of older versions lack, once for each folder.
fn complete(store: &Store) -> Result<(), Failure> {
    const COMPLETE: &str = "accounts";
    if store.read(|tx| tx.setting(COMPLETE))?.is_some() {
        return Ok(());
    }
    store.write(|tx| {
        seed::accounts(tx, now())?;
        tx.set(COMPLETE, "1")
    })
}

/// Lets the controllers of other crates create their initial objects, once for each folder.
fn plant(store: &Store, options: &Options) -> Result<(), Failure> {
    const PLANTED: &str = "planted";
    let Some(controllers) = &options.controllers else {
        return Ok(());
    };
    if store.read(|tx| tx.setting(PLANTED))?.is_some() {
        return Ok(());
    }
    store.write(|tx| {
        if tx.setting(PLANTED)?.is_some() {
            return Ok(());
        }
        let at = now() - seed::AGE;
        controllers.plant(&Cluster::new(tx, options, at))?;
        controllers::pass_changes(tx, options, at)?;
        tx.set(PLANTED, "1")
    })
}
