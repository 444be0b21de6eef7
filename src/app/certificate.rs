//! A certificate that is replaced while the server runs.
use std::time::Duration;

use log::error;

use crate::transport::Tls;

/// New certificates are looked for this often; SIGHUP has it done at once.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(10);

/// Looks for a new certificate now and then.
pub(super) async fn watch(tls: Tls) {
    loop {
        tokio::time::sleep(CERTIFICATE_EVERY).await;
        reload(&tls).await;
    }
}

pub(super) async fn reload(tls: &Tls) {
    let tls = tls.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || tls.reload()).await {
        error!(cause:% = error; "the certificate could not be looked at");
    }
}
