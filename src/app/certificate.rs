//! Reloads the certificate while the server runs.
use std::time::Duration;

use log::error;

use crate::transport::Tls;

/// Interval of the checks for a new certificate; SIGHUP triggers one at once.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(10);

/// Checks for a new certificate periodically.
pub(super) async fn watch(tls: Tls) {
    loop {
        tokio::time::sleep(CERTIFICATE_EVERY).await;
        reload(&tls).await;
    }
}

pub(super) async fn reload(tls: &Tls) {
    let tls = tls.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || tls.reload()).await {
        error!(cause:% = error; "could not check the certificate");
    }
}
