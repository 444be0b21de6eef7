//! Removes what nobody can find any more: messages of deleted conversations, and uploads that have lost their last
//! reference. At the start, what a crash left.
//!
//! Messages go a few at a time, so that the others' sends wait for one step at most. Removal of an upload has three
//! steps: delete the upload's row, unless something refers to it again; delete its file; delete the note that asked for
//! it. A crash between them leaves the note, so the next start continues.
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::Addr;
use actix_rt::task::JoinHandle;
use log::{debug, warn};

use crate::api;
use crate::chat::{ChatServer, DropFiles};
use crate::store::{self, Store, StoreError, Write};

/// Number of files checked in one step: takes some milliseconds of the writer's time.
const STEP: i64 = 200;
/// Pause between two sweeps, so that deletions close together share one.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause after a failure of the database.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// Starts the sweeps; they end when the handle is aborted.
pub(super) fn begin(upload_dir: PathBuf, store: Store, chat: Addr<ChatServer>) -> JoinHandle<()> {
    actix_rt::spawn(async move {
        loop {
            let pause = match sweep(&upload_dir, &store, &chat).await {
                Ok(()) => {
                    store.until_unnamed().await;
                    PAUSE
                }
                Err(error) => {
                    warn!(cause:% = error; "cannot remove for now what was deleted");
                    LONG_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    })
}

/// Deletes all messages of deleted conversations, and checks all files that are noted.
async fn sweep(upload_dir: &Path, store: &Store, chat: &Addr<ChatServer>) -> Result<(), StoreError> {
    while store::prune_deleted(store).await? {
        // In between: nobody's file waits for another's thousand messages.
        remove_files(upload_dir, store, chat).await?;
    }
    remove_files(upload_dir, store, chat).await
}

/// Checks all files that are noted.
async fn remove_files(upload_dir: &Path, store: &Store, chat: &Addr<ChatServer>) -> Result<(), StoreError> {
    loop {
        let urls = store.read_after_writes(|conn| store::list_unnamed_files(conn, STEP)).await?;
        if urls.is_empty() {
            return Ok(());
        }
        let unnamed = chat.send(DropFiles { urls }).await.map_err(|_| StoreError::Internal)??;
        if unnamed.is_empty() {
            // All of them are in use again.
            continue;
        }
        let kept = api::remove_uploads(upload_dir, unnamed.clone()).await;
        let removed: Vec<String> = unnamed.into_iter().filter(|url| !kept.contains(url)).collect();
        debug!(files = removed.len(); "removed unused files");
        store.write(Write::FilesRemoved { urls: removed }).await?;
        if !kept.is_empty() {
            return Err(StoreError::Internal);
        }
    }
}
