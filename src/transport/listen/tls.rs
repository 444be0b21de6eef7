//! TLS on the listeners' port: the handshake, and the certificate, which may change while the server runs.
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use log::{debug, error, info};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, ServerConfig};

use super::socket::{MovableSocket, Socket};

/// Time limit for a handshake: a few round trips on a bad line.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of simultaneous handshakes, some 15 KB each. Further ones wait, within the same time limit.
const MAX_HANDSHAKES: usize = 1_000;

/// Everything needed for TLS. Clones share one certificate.
#[derive(Clone)]
pub struct Tls {
    certificate: Arc<Certificate>,
    acceptor: TlsAcceptor,
    handshakes: Arc<Semaphore>,
}

/// A certificate with its key, from files that may be replaced.
struct Certificate {
    chain_file: PathBuf,
    key_file: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    /// State of the files when they were last read.
    seen: Mutex<Option<Fingerprint>>,
}

/// State of both files that changes when one is replaced or written to: device and inode, length, time.
type Fingerprint = [(u64, u64, u64, i64, i64); 2];

impl Tls {
    /// Reads a certificate chain and its key from PEM files.
    ///
    /// # Errors
    /// A sentence with the file's name if one cannot be read, or if they do not match.
    pub fn open(chain_file: PathBuf, key_file: PathBuf) -> Result<Self, String> {
        let provider = Arc::new(default_provider());
        let key = read(&chain_file, &key_file)?;
        let seen = Mutex::new(fingerprint(&chain_file, &key_file).ok());
        let certificate = Arc::new(Certificate { chain_file, key_file, current: RwLock::new(Arc::new(key)), seen });
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        Ok(Self { certificate, acceptor: TlsAcceptor::from(Arc::new(config)), handshakes })
    }

    /// Checks whether the files have changed, and uses their contents for new connections. Unusable files change
    /// nothing, and are reported once. Blocks while reading.
    pub fn reload(&self) {
        let Certificate { chain_file, key_file, current, seen } = &*self.certificate;
        let now = fingerprint(chain_file, key_file).ok();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        match read(chain_file, key_file) {
            Ok(key) => {
                *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                info!(file:% = chain_file.display(); "the certificate was reloaded");
            }
            Err(reason) => error!(cause:% = reason; "the certificate stays as it is"),
        }
    }

    /// Performs the handshake. `None` if it fails, or takes too long.
    pub(in crate::transport) async fn accept(&self, socket: TcpStream) -> Option<Socket> {
        let handshake = async {
            // Waits for the first byte, so that a silent client does not take up a handshake.
            socket.peek(&mut [0]).await?;
            let _turn = self.handshakes.acquire().await.map_err(io::Error::other)?;
            self.acceptor.accept(MovableSocket::from(socket)).await
        };
        match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => Some(Socket::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                debug!(cause:% = error; "tls handshake failed");
                None
            }
            Err(_) => {
                debug!("tls handshake took too long");
                None
            }
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "tls {}", self.certificate.chain_file.display())
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "certificate {}", self.chain_file.display())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(chain_file: &PathBuf, key_file: &PathBuf) -> Result<CertifiedKey, String> {
    let at = |file: &PathBuf, reason: &dyn std::fmt::Display| format!("{}: {reason}", file.display());
    let bytes = fs::read(chain_file).map_err(|error| at(chain_file, &error))?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| at(chain_file, &"it is not a PEM file"))?;
    if chain.is_empty() {
        return Err(at(chain_file, &"it holds no certificate"));
    }
    let bytes = fs::read(key_file).map_err(|error| at(key_file, &error))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| at(key_file, &"it holds no private key in PEM"))?;
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => at(key_file, &format!("it is not the key of {}", chain_file.display())),
        other => at(key_file, &other),
    })
}

fn fingerprint(chain_file: &PathBuf, key_file: &PathBuf) -> io::Result<Fingerprint> {
    let of = |file: Metadata| (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec());
    Ok([of(fs::metadata(chain_file)?), of(fs::metadata(key_file)?)])
}
