//! Training by name: against closed forms and an independent optimizer, with validation, patience and the cases that go wrong.
#![cfg(feature = "study")]

use curvkit::Error;
use curvkit::dataset::{Features, Parts, Samples, Scaling, Split, Target};
use curvkit::model::{Activation, Batch};
use curvkit::study::training::{ENTRIES, EpochPoint, Estimation, Learner, LossKind, ModelKind, Optimizer, Trained, Training};
use std::sync::{Arc, Mutex};

fn learner(model: ModelKind) -> Learner {
    Learner { model, layers: vec![8], activation: Activation::Tanh, loss: None, l2: None, seed: 0 }
}

fn training(model: ModelKind, optimizer: &str, epochs: u64) -> Training {
    let optimizer = Optimizer::parse(optimizer).unwrap();
    Training { learner: learner(model), optimizer, epochs, batch: Some(16), seed: 1, patience: None, seconds: None }
}

fn run(training: &Training, parts: &Parts) -> Trained {
    training.run(parts, Box::new(|_| ())).unwrap()
}

fn whole(samples: Samples) -> Parts {
    Parts { train: samples, validation: None, test: None }
}

/// Standardised, in parts.
fn parts(name: &str, validation: f64, test: f64) -> Parts {
    let split = Split { validation, test, seed: 3, stratified: true };
    let parts = Samples::embedded(name).unwrap().split(&split).unwrap();
    let scaling = Scaling::standard(parts.train.features()).unwrap();
    let apply = |part: Option<Samples>| part.map(|samples| scaling.apply(&samples).unwrap());
    Parts { train: scaling.apply(&parts.train).unwrap(), validation: apply(parts.validation), test: apply(parts.test) }
}

fn made(values: Vec<f64>, d: usize, target: Target) -> Samples {
    Samples::new("made", Features::Dense(Batch::new(d, values).unwrap()), Vec::new(), target).unwrap()
}

fn classes(labels: &[usize], n: usize) -> Target {
    Target::Classes { labels: labels.to_vec(), names: (0..n).map(|c| format!("c{c}")).collect() }
}

#[test]
fn full_batch_and_stochastic_methods_reach_the_same_minimum() {
    let parts = parts("breast_cancer", 0.0, 0.0);
    let with = |optimizer: &str, epochs| {
        let mut training = training(ModelKind::Logistic, optimizer, epochs);
        (training.learner.l2, training.batch) = (Some(1e-2), Some(1));
        run(&training, &parts)
    };
    let newton = with("newton:gtol=1e-12", 50);
    assert_eq!(newton.stop.reason, "gradient", "{}", newton.stop.text);
    for (optimizer, epochs) in
        [("lbfgs:gtol=1e-10", 500), ("trust_region_steihaug:gtol=1e-11", 100), ("sag", 300), ("saga", 300), ("svrg:lr=0.5", 600)]
    {
        let other = with(optimizer, epochs);
        assert!(other.sound, "{optimizer}: {}", other.stop.text);
        let gap = other.objective - newton.objective;
        assert!((-1e-15..1e-10).contains(&gap), "{optimizer}: {gap:e}");
    }
    let scores = (newton.train.accuracy.unwrap(), newton.train.n);
    assert!(scores.0 > 0.98 && scores.1 == 569, "{scores:?}");
}

#[test]
fn linear_model_by_newton_is_least_squares() {
    // y = 3 − 2 x exactly.
    let x = vec![0.0, 1.0, 2.0, 5.0];
    let y = x.iter().map(|x| 3.0 - 2.0 * x).collect();
    let parts = whole(made(x, 1, Target::Values(y)));
    let trained = run(&training(ModelKind::Linear, "newton", 20), &parts);
    assert!((trained.parameters[0] + 2.0).abs() < 1e-12 && (trained.parameters[1] - 3.0).abs() < 1e-12);
    assert!(trained.train.rmse.unwrap() < 1e-11 && (trained.train.r2.unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(trained.train.accuracy, None);
}

#[test]
fn every_stochastic_method_lowers_the_objective_of_every_kind_of_model() {
    let (wine, diabetes) = (parts("wine", 0.0, 0.0), parts("diabetes", 0.0, 0.0));
    for entry in ENTRIES {
        for (model, parts) in [(ModelKind::Multinomial, &wine), (ModelKind::Mlp, &wine), (ModelKind::Linear, &diabetes)] {
            let mut training = training(model, entry.name, 3);
            let slower = match (entry.name, model) {
                // The rate is absolute where terms do not know their Lipschitz constants.
                ("svrg", ModelKind::Mlp) => "svrg:lr=0.05",
                // From zero weights the first step has no norm to be scaled by, and momentum makes ten of it.
                ("lars", ModelKind::Linear) => "lars:lr=0.01",
                (name, _) => name,
            };
            training.optimizer = Optimizer::parse(slower).unwrap();
            let trained = run(&training, parts);
            let first = trained.history[0].objective;
            assert!(trained.sound && trained.objective < first, "{} {model:?}: {} {first}", entry.name, trained.objective);
            if entry.estimation == Estimation::MiniBatch {
                assert_eq!(trained.samples, 3 * parts.train.n() as u64, "{}", entry.name);
            }
        }
    }
}

#[test]
fn seed_makes_a_run_and_another_seed_another() {
    let parts = parts("iris", 0.2, 0.2);
    let training = training(ModelKind::Mlp, "adam:lr=0.01", 5);
    let (a, b) = (run(&training, &parts), run(&training, &parts));
    assert_eq!((&a.parameters, a.test), (&b.parameters, b.test));
    let other = Training { seed: 2, ..training };
    assert_ne!(run(&other, &parts).parameters, a.parameters);
}

#[test]
fn answer_has_the_lowest_validation_loss_of_the_history() {
    let parts = parts("digits", 0.2, 0.2);
    for optimizer in ["adam:lr=0.02", "lbfgs"] {
        let mut training = training(ModelKind::Multinomial, optimizer, 40);
        training.batch = Some(64);
        let trained = run(&training, &parts);
        let losses: Vec<f64> = trained.history.iter().filter_map(|p| p.validation).collect();
        let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let validation = trained.validation.unwrap();
        assert_eq!(losses.len(), trained.history.len());
        assert!((validation.loss - lowest).abs() <= 1e-14 * lowest, "{optimizer}: {} {lowest}", validation.loss);
        let test = trained.test.unwrap();
        assert!(test.accuracy.unwrap() > 0.94 && test.n == 359, "{optimizer}: {test:?}");
    }
}

#[test]
fn patience_ends_a_run_that_no_longer_gains() {
    let parts = parts("digits", 0.2, 0.0);
    for optimizer in ["adam:lr=0.1", "lbfgs"] {
        let mut training = training(ModelKind::Multinomial, optimizer, 1000);
        (training.patience, training.batch) = (Some(3), Some(64));
        let trained = run(&training, &parts);
        assert_eq!(trained.stop.reason, "patience", "{optimizer}: {}", trained.stop.text);
        assert!(trained.sound && trained.epochs < 500.0, "{optimizer}: {}", trained.epochs);
        let losses: Vec<f64> = trained.history.iter().filter_map(|p| p.validation).collect();
        let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(losses.iter().position(|loss| *loss == best), Some(losses.len() - 4), "{optimizer}");
    }
}

#[test]
fn diverging_run_keeps_its_best_point_and_says_so() {
    let parts = parts("diabetes", 0.0, 0.2);
    let trained = run(&training(ModelKind::Linear, "sgd:lr=1e3", 50), &parts);
    assert!(!trained.sound && trained.stop.reason == "diverged", "{}", trained.stop.text);
    assert!(trained.parameters.iter().all(|v| v.is_finite()) && trained.objective.is_finite());
    assert!(trained.objective <= trained.history[0].objective);
    assert!(trained.test.unwrap().loss.is_finite());
}

#[test]
fn single_sample_and_constant_features_have_defined_answers() {
    let one = whole(made(vec![2.0, 1.0], 2, Target::Values(vec![5.0])));
    for optimizer in ["adam:lr=0.1", "newton", "saga", "lbfgs"] {
        let mut training = training(ModelKind::Linear, optimizer, 500);
        training.learner.l2 = Some(1e-6);
        let trained = run(&training, &one);
        assert!(trained.train.loss < 1e-3 && trained.train.r2.is_none(), "{optimizer}: {:?}", trained.train);
    }
    let constant = whole(made(vec![1.0, 0.0, 1.0, 1.0, 1.0, 2.0], 2, Target::Values(vec![1.0, 2.0, 3.0])));
    for optimizer in ["adam:lr=0.1", "newton", "lbfgs"] {
        let trained = run(&training(ModelKind::Linear, optimizer, 2000), &constant);
        assert!(trained.sound && trained.train.rmse.unwrap() < 1e-2, "{optimizer}: {:?}", trained.train);
    }
}

#[test]
fn what_cannot_be_trained_is_refused_with_a_reason() {
    let single = whole(made(vec![1.0, 2.0], 1, classes(&[0, 0], 1)));
    let absent = whole(made(vec![1.0, 2.0], 1, classes(&[0, 0], 2)));
    let huge = whole(made(vec![1e200, 2e200], 1, Target::Values(vec![1e200, 0.0])));
    let refused = |training: Training, parts: &Parts| training.run(parts, Box::new(|_| ())).unwrap_err();
    for model in [ModelKind::Logistic, ModelKind::Multinomial, ModelKind::Svm, ModelKind::Mlp] {
        let error = refused(training(model, "adam", 5), &single);
        assert!(error.to_string().contains("at least two, found 1 (`c0`)"), "{model:?}: {error}");
    }
    let error = refused(training(ModelKind::Logistic, "newton", 5), &absent);
    assert!(error.to_string().contains("class"), "{error}");
    assert!(matches!(refused(training(ModelKind::Linear, "sgd", 5), &huge), Error::NonFinite { .. }));
    let mut hinge = training(ModelKind::Svm, "newton", 5);
    hinge.learner.loss = Some(LossKind::Hinge);
    assert!(matches!(hinge.validate(), Err(Error::Unsupported { .. })));
    let base = training(ModelKind::Linear, "sgd", 5);
    for wrong in [
        Training { epochs: 0, ..base.clone() },
        Training { batch: Some(0), ..base.clone() },
        Training { patience: Some(0), ..base.clone() },
        Training { seconds: Some(f64::NAN), ..base.clone() },
    ] {
        assert!(matches!(wrong.validate(), Err(Error::Config { .. })));
    }
}

#[test]
fn support_vector_machines_train_by_both_hinges() {
    let (cancer, iris) = (parts("breast_cancer", 0.0, 0.3), parts("iris", 0.0, 0.3));
    let squared = run(&training(ModelKind::Svm, "newton", 50), &cancer);
    assert!(squared.test.unwrap().accuracy.unwrap() > 0.95, "{:?}", squared.test);
    let mut hinge = training(ModelKind::Svm, "sgd:lr=0.1,schedule=inverse_sqrt,average=tail", 50);
    hinge.learner.loss = Some(LossKind::Hinge);
    let hinge = run(&hinge, &iris);
    assert!(hinge.test.unwrap().accuracy.unwrap() > 0.9, "{:?}", hinge.test);
}

#[test]
fn sparse_samples_give_what_dense_ones_give() {
    let wine = parts("wine", 0.0, 0.0).train;
    let batch = wine.features().to_batch().unwrap();
    let text: String = (0..wine.n())
        .map(|i| {
            let features: Vec<String> = batch.sample(i).iter().enumerate().map(|(j, v)| format!("{}:{v:e}", j + 1)).collect();
            format!("{} {}\n", wine.target().to_values()[i], features.join(" "))
        })
        .collect();
    let sparse = curvkit::dataset::Libsvm::default().parse("wine.svm", &text).unwrap();
    let target = sparse.target().clone().into_classes();
    let sparse = whole(sparse.with_target(target).unwrap());
    assert!(matches!(sparse.train.features(), Features::Sparse(_)));
    let mut training = training(ModelKind::Multinomial, "newton_cg:gtol=1e-12", 100);
    training.learner.l2 = Some(1e-2);
    let (a, b) = (run(&training, &whole(wine)), run(&training, &sparse));
    assert!((a.objective - b.objective).abs() <= 1e-13 && a.train.accuracy == b.train.accuracy);
}

#[test]
fn progress_sees_every_point_of_the_history() {
    let parts = parts("iris", 0.2, 0.0);
    let seen: Arc<Mutex<Vec<EpochPoint>>> = Arc::default();
    let into = seen.clone();
    let training = training(ModelKind::Multinomial, "adam:schedule=cosine", 4);
    let trained = training.run(&parts, Box::new(move |point| into.lock().unwrap().push(*point))).unwrap();
    assert_eq!(*seen.lock().unwrap(), trained.history);
    let epochs: Vec<f64> = trained.history.iter().map(|p| p.epoch).collect();
    assert_eq!(epochs, [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert!(trained.history[1..].windows(2).all(|w| w[1].learning_rate < w[0].learning_rate));
    assert_eq!(trained.history[4].samples, 4 * parts.train.n() as u64);
}
