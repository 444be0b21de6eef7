#[allow(dead_code)]
mod socketio_fixture;

fn main() {}
