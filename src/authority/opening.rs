//! Opens the service: at the start of its server, or for the first request.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::options::Options;
use crate::service::Service;
use crate::store;
use crate::workers::Workers;
use windlass_ground::{StoreError, blocking, disk};

/// The service, and the threads that work for it.
pub(crate) struct Served {
    pub service: Arc<Service>,
    pub workers: Workers,
}

/// What a server serves, once it is open.
pub(crate) struct Opening {
    pub options: Options,
    served: OnceCell<Served>,
}

impl Opening {
    /// Opens the service, unless it is new and can wait for the first request.
    pub async fn begin(options: Options) -> Result<Self, StoreError> {
        let folder = options.folder.clone();
        let waits = options.creates_when_asked;
        let waits = blocking(move || {
            let waits = waits && !store::is_there(&folder);
            if waits {
                disk::create_folders(&folder, 0o700).map_err(|e| StoreError::Folder(folder, e))?;
            }
            Ok(waits)
        });
        let waits = waits.await?;
        let new = Self {
            options,
            served: OnceCell::new(),
        };
        if !waits {
            new.served().await?;
        }
        Ok(new)
    }

    /// Returns the service; opens it the first time.
    pub async fn served(&self) -> Result<&Served, StoreError> {
        self.served.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Served, StoreError> {
        let options = self.options.clone();
        let opening = blocking(move || {
            let service = Service::open(options)?;
            service.catch_up();
            Ok::<_, StoreError>(service)
        });
        let service = Arc::new(opening.await?);
        tokio::spawn(keep_up(Arc::downgrade(&service), self.options.upkeep));
        Ok(Served {
            service,
            workers: Workers::start(),
        })
    }
}

/// Repeats regularly what a server does at its start. Ends with the server, which is the only owner of the service.
async fn keep_up(service: Weak<Service>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(service) = service.upgrade() else {
            return;
        };
        // A panic is reported by its thread; the next attempt may succeed.
        let _ = tokio::task::spawn_blocking(move || service.catch_up()).await;
    }
}
