//! Issuers for tests: they sign with any algorithm, and publish their keys like real ones.
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};

/// Private keys, used in tests only.
const RSA_A: &str = concat!(
    "MIIEowIBAAKCAQEAu8JHGI9YimnHQPOC46gRPwcfYN5SFkbAKsucXrJMaw2wr0nVnZXCQtEJEqpGE2YOtev1ACuOXFl+zfm8rR3+Apliq0PEEvWm",
    "594KzwTHJiULRPqQqWuNdWT7NS6n9oIBeIRcZo1wr+L4Wn9ujSTGgcdxKn7HbnTQlcjdRz5Gkz8CNh7iP72TgLnG3xQvEJRBho3YOXT64tBkgOvR",
    "1yeD1pdfqOMFL8CRfHkNiV4s3RDZXm56e4BpGXzKp+Mmh5qVE1UvO/8bY2Q80TJOogk+DzYveMatyiqkeF3kACWpVqh8wQXhaAi1niELLK7KTORD",
    "GUDvOIcEIRPz2Esq0LIwnwIDAQABAoIBAAl39a/mYrewN+0tmpcyfZQpHsr6yzb2YHCIDh20bigj65obZhtpVv+ZnRSE473Mssc33AYjLC26Eav/",
    "gSVV0t58r74lT7kJDF67Et53xjdFPPlAjZUNqHeYHRcEgFHtInfabPJ7BYjJMG8X6BJUHXKkBS/4bsRCPdaf55DVMifwul9roG9hQtddiEk/0/Ix",
    "3WFu5Bx7UsQ7Wb3D6jDp2zVoOkgbbS8zJh06jpwffCsQYb9nqp0MQpgUFBi7XYXJJRcUStVVghH4Vzq56z6Yhv8LWD5OPBNhQMnmUSp7NMA9F6GZ",
    "rk8ldnvAR0IMoBciqoBvImZqerHDtL9c72NklyECgYEA5gsp3vFQNG/r+s+l9scUjc4hsCkvRREyHj3VcShMnuNksjLwGBvui0OhlWpYTOvWTlRX",
    "GxmpNuzcoqmCTEwpnIi63Q3n83+MbIV+8nXPHmw1JuDcFu4MkfovGTckBuDxpISM2HqQVBDzQ2rr1PfYpGXFbt0Uja+5sS8jNbSeiA8CgYEA0PG3",
    "IoWGED3u5hprud+M5yEz4SkGfCWS97XUdsWfyLwXW98BT45Vcmb0c3+bMSdUWfKDCdAS3d+Uckp78XVAQleHMhBR6lnbl/pvbmm/Jrf4Bq8d6ihP",
    "oe8b4x9rz+S5aS9H2xXr0p/JjGX7ffzC/feYt09fehB/ohWLgsFzvnECgYAB2nUr5qXOxlgQXTvpERGJUu/Si4Jl/A17UOQ3VSvI2+wjw2VLzG3P",
    "kWvr2D993yiK2QMapMpINwBQDy2Nj8+GA1P+E+6ad5yaAzlSmsBgbl6/QXCEfsZ7JpjaiycvJwDLYoX/+HzRMJHFKUddH+IO8QL2MbHIsnG8i7Ss",
    "6hec4QKBgQC009xYhhJGUDNG9SqyDGSXS0bo4GZ6XtJYiwa7W8EzKoVUvyUVQut0POHma1NWMOFxjs4VWfxaBLsmRowJph3czH92tmUOWoIPf2+c",
    "sOv7iE+hCUDse8KfNJ5/65uUqjBEdeTMGKak/CCj30bN/EiNHxEN5CWPMGQlVFwO53lSIQKBgArliAjNNWJ1CYNqFdSeQrvuFyaeF1h943wWEy4o",
    "SM7MPwpR2JAedBXsSDZDrNLT0AoAHYOrp5rwbVWyvr0HdjBbGs2r7y+0mkUQ+4dla2vewYpktJTNiTaNsqetaHYn9X2UaeQklL/DEFV+PO5Tjk2C",
    "nKgN80CG1nmof4ulvny4",
);
const RSA_B: &str = concat!(
    "MIIEowIBAAKCAQEAtxe1Lgf0tQIcJXludOnpjemv0sKXWWI4L8/TILydXTv7xmNgTji8Gfn+XHu2wMV16XMnc1cLAXZKRzM93GM/OV4TF1023Mss",
    "gP9c2ZlIXEXAl09BgjH096r6tnlyUmEJwIh+ezkWA6buejEbM5MpbGeKu4mgx6A3wAPMzwJ0Xhx9Z7AXywzyyBgsLtkbeRaIFD7aAxZLy2l+IKep",
    "dF5e1/uJJd5U1Vr01OxwBzDu+59v/gGFR6zIrBzaIIdCNxCRetceKFNTgFlP5Kt+L7Ck8BvQF2pelxxAjhDtTfiuyBETEyYinfDxy++eeJ200qT0",
    "r7ZDKcDmwVepkKT/Zg7VzwIDAQABAoIBAAKWRSsXVa/RDdDBvHvOakxlBuT1dun+Z0jVqOgHgjm1BUOyV8QDLTU4wQ1Rei2THK1lwSLyEee9YiNL",
    "aA5bIKOQ3rgvyvynqkNQWGGCtvEG00fQCN7sEcgGFHDLmn/rexXLV+4pylPW4fu8AeRiqe0sMVuhADKR4vfFlfk+0aIaws4yTOwJsvZ74zaOLStv",
    "xfLz4FrsvCmkMs3NYmLgJIXbay5NiSgFHsPCf0dISbXfQAlvAbo2C/M7j/Kj8m713dtVr2AJ4Pi1/N6fmIuKswHvvBQp3MoTElkb2RETk8xuf+yv",
    "nXT7Uk7PuUn5tmYDXbTp9u8XSmqTDvmV5W0K+4ECgYEA7QN521lJDXYXJH8H05/aaTO2HCcBVa8SGCxyFdHkb4Hh8h265JEUaGE4+H0kFm52EGX/",
    "g3bxcT94tgAtx+NRRARfph38qXSWTa6tLSP+ImXzvec2zElDwh8urA1UMAbvb97k5JlatBfTFyKGL/y8M//d7HumRYSMR6IhhJv06eECgYEAxcJ0",
    "aAf8kceKPKTtji0EciqsUdHT+DfjKa+YfxrdoET5yWySK9P1DZdKrckz1BV3XBZWSEB7tiwVtyVa1vdTz55nPPRtm4HSDac2ZBVOR8E+LvfR/rFo",
    "sCVKtRv42W4ckBPClcQ7wl3ZC5D6HGkMxQhnCG1ZzGb2FOX6oTvjla8CgYA9FvRFsVG/An0cjxF5Xm5xRz7dKsCRUTqcuHf/X8Y9Z4DRYxBU8YAN",
    "F2ITyk2O6pHL0D53qCS7R9zZLFqgdtrvaSEuM/R3yPEkvK0uQWSzgQu+GuZo6Ulps5fYCOd2KZN1hkIBGfXjDXD/OYrUu5PW41BUL9q/eFaf8A4r",
    "m/cYgQKBgQCJF5yK4b59cM6r68mi3iJO4rZCoitHz7Zyl4An3P/2stpWgCV0rKMcoNzsTKbZR2hPNkzqGYmpaDZFmGe4zgwTycPXxbqWKxDq1hgm",
    "mX6Cz7vD45h375SbR77afmGsmWDDoG8sU7T5sQVdt0srlsd7b6+9b9DomhfNtQBh9Zp3kQKBgFDzhZ4oFW7OuchlXfZ+/3SeeSzU0TAKAhy92iPr",
    "Ih6N617dHwyse6YoDexXWCc+Spi28YYut8vErbfCb0jhG/FGBG14MRBzLY9vYeTOX3gk3hS+8g9SUdP12uxy18/u7QgUq/SEyD+4LevbtZ16V/gj",
    "Iy20qWaEADOFtgrYcerz",
);

/// The modulus of a key of 1 024 bits.
pub(super) const SHORT_RSA_N: &str = concat!(
    "r7wW7Yjmh0uVDM_Dw3T72pj3w1oEiHGrDmHDaC_BO1vq82yX0oL32e3awXS3KcOz-",
    "pS9ZnFQAKOB4roQU6pBOMrNOrUSkwBf9Qf6tdTXIlb2DJiRbP6CZ3wcG7XKAj9wuVg0BvQ_hpKyLEUAeGY2bYHT2O7Af7iXycYa1r6I3kk",
);

/// A private key.
enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

/// A signer of tokens.
pub(super) struct Signer {
    private: Private,
    pub id: Option<String>,
}

impl Signer {
    fn rsa(der: &str, id: &str) -> Self {
        let pair = RsaKeyPair::from_der(&STANDARD.decode(der).unwrap()).unwrap();
        Self { private: Private::Rsa(pair), id: Some(id.to_owned()) }
    }

    /// An RSA key.
    pub(super) fn rsa_a(id: &str) -> Self {
        Self::rsa(RSA_A, id)
    }

    /// Another RSA key.
    pub(super) fn rsa_b(id: &str) -> Self {
        Self::rsa(RSA_B, id)
    }

    /// A new key on P-256 or P-384.
    pub(super) fn ec(curve: &'static str, id: &str) -> Self {
        let random = SystemRandom::new();
        let scheme = match curve {
            "P-256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(scheme, pkcs8.as_ref(), &random).unwrap();
        Self { private: Private::Ec(pair, curve), id: Some(id.to_owned()) }
    }

    /// A new key on Ed25519.
    pub(super) fn ed(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { private: Private::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()), id: Some(id.to_owned()) }
    }

    /// Signs bytes with an algorithm; `None` if the key is of another kind.
    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, padding: &'static dyn signature::RsaEncoding| {
            let mut signed = vec![0; pair.public().modulus_len()];
            pair.sign(padding, &random, message, &mut signed).unwrap();
            signed
        };
        Some(match (&self.private, algorithm) {
            (Private::Rsa(pair), "RS256") => rsa(pair, &signature::RSA_PKCS1_SHA256),
            (Private::Rsa(pair), "RS384") => rsa(pair, &signature::RSA_PKCS1_SHA384),
            (Private::Rsa(pair), "RS512") => rsa(pair, &signature::RSA_PKCS1_SHA512),
            (Private::Rsa(pair), "PS256") => rsa(pair, &signature::RSA_PSS_SHA256),
            (Private::Rsa(pair), "PS384") => rsa(pair, &signature::RSA_PSS_SHA384),
            (Private::Rsa(pair), "PS512") => rsa(pair, &signature::RSA_PSS_SHA512),
            (Private::Ec(pair, "P-256"), "ES256") | (Private::Ec(pair, "P-384"), "ES384") => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            (Private::Ed(pair), "EdDSA") => pair.sign(message).as_ref().to_vec(),
            _ => return None,
        })
    }

    /// Signs a token with this payload.
    pub(super) fn token(&self, algorithm: &str, payload: &Value) -> String {
        self.token_with(&json!({"alg": algorithm, "typ": "JWT", "kid": self.id}), payload)
    }

    /// Signs a token with this header, by the header's algorithm.
    pub(super) fn token_with(&self, header: &Value, payload: &Value) -> String {
        let mut header = header.clone();
        if header["kid"].is_null() {
            header.as_object_mut().unwrap().remove("kid");
        }
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()));
        let signed = self.sign(header["alg"].as_str().unwrap(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
    }

    /// Returns the public key as published by an issuer.
    pub(super) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.private {
            Private::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": text(&n), "e": text(&e)})
            }
            Private::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
            }
            Private::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())}),
        };
        if let Some(id) = &self.id {
            jwk["kid"] = json!(id);
        }
        jwk
    }

    /// Returns the public key as a PEM file: its bytes follow the prefix of its kind (RFC 5280 §4.1.2.7).
    pub(super) fn pem(&self) -> String {
        let der = match &self.private {
            Private::Rsa(pair) => {
                let key = pair.public().as_ref();
                let head = hex("30820122300d06092a864886f70d01010105000382010f00");
                [&head[..], key].concat()
            }
            Private::Ec(pair, curve) => {
                let head = match *curve {
                    "P-256" => hex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
                    _ => hex("3076301006072a8648ce3d020106052b81040022036200"),
                };
                [&head[..], pair.public_key().as_ref()].concat()
            }
            Private::Ed(pair) => [&hex("302a300506032b6570032100")[..], pair.public_key().as_ref()].concat(),
        };
        pem("PUBLIC KEY", &der)
    }
}

/// Returns a PEM file with these bytes.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
