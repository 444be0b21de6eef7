//! Removes the files that nothing names any more: at the start those that a crash left, then whenever one has lost its last name.
//!
//! First the upload goes from the database, unless something names it by now; then its file; then the note that it is to be
//! looked at. Whatever a crash leaves is there as a note, and is gone on with.
use std::path::PathBuf;
use std::time::Duration;

use actix::Addr;
use actix_rt::task::JoinHandle;
use log::{debug, warn};

use crate::api;
use crate::chat::{ChatServer, DropFiles};
use crate::store::{self, Store, StoreError, Write};

/// Files that are looked at in one step: some milliseconds of the writer's time.
const STEP: i64 = 200;
/// Between two looks: deletions that come close together share one.
const PAUSE: Duration = Duration::from_millis(200);
/// The database was away.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// Begins. It ends when the handle is aborted.
pub(super) fn begin(upload_dir: PathBuf, store: Store, chat: Addr<ChatServer>) -> JoinHandle<()> {
    actix_rt::spawn(async move {
        loop {
            let pause = match sweep(&upload_dir, &store, &chat).await {
                Ok(()) => {
                    store.until_unnamed().await;
                    PAUSE
                }
                Err(error) => {
                    warn!(cause:% = error; "files that nothing names stay for now");
                    LONG_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    })
}

/// Looks at all that is to be looked at.
async fn sweep(upload_dir: &std::path::Path, store: &Store, chat: &Addr<ChatServer>) -> Result<(), StoreError> {
    loop {
        let urls = store.read_after_writes(|conn| store::list_unnamed_files(conn, STEP)).await?;
        if urls.is_empty() {
            return Ok(());
        }
        let unnamed = chat.send(DropFiles { urls }).await.map_err(|_| StoreError::Internal)??;
        if unnamed.is_empty() {
            // All of them are named again.
            continue;
        }
        let kept = api::remove_uploads(upload_dir, unnamed.clone()).await;
        let removed: Vec<String> = unnamed.into_iter().filter(|url| !kept.contains(url)).collect();
        debug!(files = removed.len(); "removed files that nothing names");
        store.write(Write::FilesRemoved { urls: removed }).await?;
        if !kept.is_empty() {
            return Err(StoreError::Internal);
        }
    }
}
