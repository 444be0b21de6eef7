//! TLS on the listeners' port: the certificate, which may change while the server runs, and the handshake.
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

use super::socket::{Seat, Socket};

/// Time that a handshake may take: a few round trips on a bad line.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that run at once, some 15 KB each. More wait for their turn, within the same time.
const MAX_HANDSHAKES: usize = 1_000;

/// Everything that is needed to speak TLS. Clones share one certificate.
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
    /// The files as they were when they were last looked into.
    seen: Mutex<Option<Fingerprint>>,
}

/// Marks of files that change when those are replaced or written to: of each its place, length and time.
type Fingerprint = [(u64, u64, u64, i64, i64); 2];

impl Tls {
    /// Reads a certificate with the chain that leads to it, and its key: PEM files.
    ///
    /// # Errors
    /// A sentence with the file's name if one cannot be read, or if they do not belong together.
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

    /// Looks whether the files have changed, and has new connections get what they hold now. Files that cannot be used change
    /// nothing, and are said once. Blocks for the time of reading.
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

    /// Shakes hands. `None` if that fails, or takes too long.
    pub(in crate::transport) async fn accept(&self, socket: TcpStream) -> Option<Socket> {
        let handshake = async {
            // Who says nothing takes nobody's turn.
            socket.peek(&mut [0]).await?;
            let _turn = self.handshakes.acquire().await.map_err(io::Error::other)?;
            self.acceptor.accept(Seat::from(socket)).await
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
    let chain = chain.map_err(|_| at(chain_file, &"it is no PEM file"))?;
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
