//! A flow as the body of an HTTP response, over a real connection on this machine.

use std::convert::Infallible;
use std::time::Duration;

use aqueduct::{Overflow, interval, source::Missed};
use axum::{Router, body::Body, routing::get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn ticks() -> Body {
    let ticks = interval(Duration::from_millis(1), Missed::Burst).take(3);
    let lines = ticks.enumerate().map(|(index, _)| format!("tick {index}\n"));
    Body::from_stream(lines.hop(16, Overflow::Block).map(Ok::<_, Infallible>))
}

#[tokio::test]
async fn a_handler_streams_a_flow_to_its_client_and_ends_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/ticks", get(ticks));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let mut client = TcpStream::connect(address).await.unwrap();
    let request = "GET /ticks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    server.abort();

    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    let lines: Vec<_> = response.lines().filter(|line| line.starts_with("tick")).collect();
    assert_eq!(lines, ["tick 0", "tick 1", "tick 2"]);
}
