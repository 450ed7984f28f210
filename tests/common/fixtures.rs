//! The reference models of tests/fixtures/curvature.

use curvkit::loss::{BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError};
use curvkit::model::{Activation, Batch, Convolution, Network};
use curvkit::problem::Supervised;
use serde_json::Value;

/// One reference model.
pub struct Fixture {
    pub name: String,
    pub problem: Supervised,
    pub theta: Vec<f64>,
    pub reference: Reference,
}

/// Its reference values.
pub struct Reference(Value);

fn flatten(value: &Value, out: &mut Vec<f64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, out)),
        number => out.push(number.as_f64().expect("a number")),
    }
}

impl Reference {
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }
    pub fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().expect("a number")
    }
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().expect("a text")
    }
    /// All numbers under a key, in order.
    pub fn vector(&self, key: &str) -> Vec<f64> {
        let mut out = Vec::new();
        flatten(&self.0[key], &mut out);
        out
    }
    /// Lists of numbers under a key, one for each layer.
    pub fn layers(&self, key: &str) -> Vec<Vec<f64>> {
        let layer = |value: &Value| {
            let mut out = Vec::new();
            flatten(value, &mut out);
            out
        };
        self.0[key].as_array().expect("a list").iter().map(layer).collect()
    }
}

fn network(r: &Reference) -> Network {
    let activation = |name: &str| match name {
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "relu" => Activation::Relu,
        "identity" => Activation::Identity,
        other => panic!("activation {other}"),
    };
    let size = |key: &str| r.number(key) as usize;
    if r.has("in_channels") {
        let net = Network::image(size("in_channels"), 1, size("length")).expect("image");
        let convolution = Convolution::line(size("out_channels"), size("kernel"));
        let net = net.convolution(convolution, activation(r.text("activation"))).expect("convolution");
        return net.dense(size("outputs_dim"), Activation::Identity).expect("dense");
    }
    let dims = r.vector("layer_dims");
    let names: Vec<&str> = r.0["activations"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
    let start = Network::vector(dims[0] as usize).expect("inputs");
    names.iter().zip(&dims[1..]).fold(start, |net, (name, n)| net.dense(*n as usize, activation(name)).expect("layer"))
}

/// All reference models.
pub fn fixtures() -> Vec<Fixture> {
    let names = ["logistic", "tanh-softmax", "sigmoid-squared", "relu-tanh-binary-l2", "conv1d-tanh-softmax"];
    names.iter().map(|name| fixture(name)).collect()
}

fn fixture(name: &str) -> Fixture {
    let path = format!("{}/tests/fixtures/curvature/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("fixture");
    let r = Reference(serde_json::from_str(&text).expect("JSON"));
    let n = r.number("n") as usize;
    let batch = |key: &str| {
        let values = r.vector(key);
        Batch::new(values.len() / n, values).expect("batch")
    };
    let (net, inputs, targets) = (network(&r), batch("inputs"), batch("targets"));
    let problem = match r.text("loss") {
        "binary_cross_entropy" => Supervised::new(net, BinaryCrossEntropy, inputs, targets),
        "softmax_cross_entropy" => Supervised::new(net, SoftmaxCrossEntropy, inputs, targets),
        "squared_error" => Supervised::new(net, SquaredError, inputs, targets),
        other => panic!("loss {other}"),
    };
    let l2 = if r.has("l2") { r.number("l2") } else { 0.0 };
    let problem = problem.and_then(|p| p.l2(l2)).expect("problem");
    let theta = r.vector("theta");
    Fixture { name: name.into(), problem, theta, reference: r }
}
