//! `fakehub`: a GitHub to test against, on this machine. `docs/FAKEHUB.md` tells what it can do.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use clap::Parser;
use fakehub::{Hub, Options, Role, Token};
use task::Tasks;

/// A GitHub to test against, on this machine and without the network.
#[derive(Debug, Parser)]
#[command(name = "fakehub")]
struct Args {
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The same seed makes the same world.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// A token to accept, as LOGIN=TEXT, with write access to private repositories named after it:
    /// LOGIN=TEXT,OWNER/REPO. Repeatable.
    #[arg(long = "token", value_name = "LOGIN=TEXT")]
    tokens: Vec<String>,
    /// Play a GHES of this version: /api/v3 and /api/graphql.
    #[arg(long, value_name = "VERSION")]
    enterprise: Option<String>,
    /// Play GitHub's hosts behind a CONNECT proxy too, and write its CA to this file.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Do not answer under /_fakehub/.
    #[arg(long)]
    no_control: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(args))
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let tasks = Tasks::tokio();
    let mut hub = Hub::standard(args.seed);
    for typed in &args.tokens {
        hub.add_token(token(typed)?);
    }
    let hub = Arc::new(Mutex::new(hub));
    let options = Options { control: !args.no_control };
    let server = fakehub::serve_at(&tasks, Arc::clone(&hub), options, args.listen).await?;
    let proxy = match &args.ca {
        Some(path) => {
            let proxy = fakehub::tls::serve(&tasks, Arc::clone(&hub), options).await?;
            fs::write(path, &proxy.ca_pem)?;
            Some(proxy)
        }
        None => {
            // One plain port plays every host: bodies and redirects name it.
            let mut hub = hub.lock().expect("nobody else has it yet");
            let path = if args.enterprise.is_some() { "/api/v3" } else { "" };
            hub.api_url = format!("{}{path}", server.url());
            hub.storage_url = Some(format!("http://localhost:{}", server.addr.port()));
            None
        }
    };
    hub.lock().expect("the hub does not panic").enterprise = args.enterprise;

    let mut out = std::io::stdout();
    writeln!(out, "api {}", server.url())?;
    if let Some(proxy) = &proxy {
        writeln!(out, "proxy {}", proxy.url())?;
    }
    out.flush()?;
    std::future::pending().await
}

/// `LOGIN=TEXT[,OWNER/REPO...]`.
///
/// Not left to the parser of arguments, which would repeat what was typed: it is a credential.
fn token(typed: &str) -> Result<Token, &'static str> {
    let (login, rest) = typed.split_once('=').ok_or("a --token is not LOGIN=TEXT")?;
    let mut parts = rest.split(',');
    let text = parts.next().filter(|text| !text.is_empty()).ok_or("the text of a --token is empty")?;
    Ok(parts.fold(Token::new(text, login), |token, repo| token.with_repo(repo, Role::Write)))
}
