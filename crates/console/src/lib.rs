//! HTTP front door: `/healthz`, `/readyz`, `/metrics` and an index page that says where things are.
//!
//! Read only. It shows what the broker counts about itself and never a record.

#![forbid(unsafe_code)]

mod group_metrics;
mod metrics;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use broker::Broker;

#[derive(Debug, Clone)]
struct Sources {
    broker: Arc<Broker>,
    ready: Arc<AtomicBool>,
}

/// The pages. `ready` says whether the broker accepts requests: false while it starts and stops.
pub fn router(broker: Arc<Broker>, ready: Arc<AtomicBool>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                "not found; see / for what there is\n",
            )
        })
        .with_state(Sources { broker, ready })
}

async fn readyz(State(sources): State<Sources>) -> impl IntoResponse {
    if sources.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting or stopping\n",
        )
    }
}

async fn metrics_page(State(sources): State<Sources>) -> impl IntoResponse {
    let lags = sources.broker.groups().lags().await;
    let lags = lags.unwrap_or_else(|reason| {
        // The other numbers are all the more needed then.
        tracing::warn!(%reason, "the lag of groups is not known");
        Arc::default()
    });
    (
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        metrics::render(&sources.broker, &lags),
    )
}

async fn index(State(sources): State<Sources>) -> impl IntoResponse {
    let topics = sources.broker.topics();
    let mut rows = String::new();
    for topic in topics.iter() {
        // A topic name has no character that HTML gives a meaning to.
        let (name, count) = (topic.name(), topic.partition_count());
        let row = writeln!(rows, "<tr><td>{name}</td><td>{count}</td></tr>");
        row.expect("a String takes every write");
    }
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let page = INDEX
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{cluster}", sources.broker.cluster_id())
        .replace("{topics}", &rows);
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page))
}

const INDEX: &str = include_str!("index.html");

#[cfg(test)]
mod tests;
