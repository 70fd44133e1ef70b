//! A browser as far as a sign-in needs one: it follows redirects, and presses a button.

use reqwest::{Certificate, Client, Proxy};
use simulator::Simulator;

/// What a page looks like to somebody.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: String,
}

/// Opens an address, or sends a form to it.
pub(crate) fn visit(simulator: &Simulator, address: &str, form: Option<&[(&str, &str)]>) -> Page {
    drop(rustls::crypto::ring::default_provider().install_default());
    let ca = std::fs::read(simulator.ca_file()).expect("the simulator's folder");
    let client = Client::builder()
        .proxy(Proxy::https(simulator.origin()).expect("an address"))
        .tls_certs_only([Certificate::from_pem(&ca).expect("a certificate")])
        .build()
        .expect("a client");
    let request = match form {
        Some(form) => client.post(address).form(form),
        None => client.get(address),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (
            response.status().as_u16(),
            format!("{:?}", response.headers()),
        );
        Page {
            status,
            headers,
            text: response.text().await.expect("a page"),
        }
    })
}
