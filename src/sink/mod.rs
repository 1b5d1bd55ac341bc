//! Where flows end outside the program. Each sink is a [`futures::Sink`](futures_sink::Sink).

pub mod csv;
