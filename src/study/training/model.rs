//! Which model is trained, and by which loss.

use crate::dataset::{Target, TargetKind};
use crate::error::{Error, Result};
use crate::model::Activation;

/// What is between features and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// One affine map to a number.
    Linear,
    /// One affine map to the log-odds of two classes.
    Logistic,
    /// One affine map to the logits of any number of classes.
    Multinomial,
    /// One affine map with a margin: two classes for the squared hinge, any number for the hinge.
    Svm,
    /// Hidden layers with an activation.
    Mlp,
}

/// What outputs are judged by; the constants are those of [`crate::loss`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// `½ (z − y)²`.
    Squared,
    /// The same, linear beyond residuals of 1.
    Huber,
    /// Poisson with logarithmic link, for counts.
    Poisson,
    /// Binary cross-entropy of one logit, for two classes.
    Binary,
    /// Softmax cross-entropy.
    Softmax,
    /// `½ max(0, 1 − t)²` of the margin `t`, for two classes.
    SquaredHinge,
    /// The multiclass hinge of Crammer & Singer.
    Hinge,
}

/// The models by name.
pub const MODELS: [(&str, ModelKind); 5] = [
    ("linear", ModelKind::Linear),
    ("logistic", ModelKind::Logistic),
    ("multinomial", ModelKind::Multinomial),
    ("svm", ModelKind::Svm),
    ("mlp", ModelKind::Mlp),
];

/// The losses by name.
pub const LOSSES: [(&str, LossKind); 7] = [
    ("squared", LossKind::Squared),
    ("huber", LossKind::Huber),
    ("poisson", LossKind::Poisson),
    ("binary", LossKind::Binary),
    ("softmax", LossKind::Softmax),
    ("squared_hinge", LossKind::SquaredHinge),
    ("hinge", LossKind::Hinge),
];

impl ModelKind {
    /// The model of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        Error::look_up("model", name, &MODELS)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        MODELS.iter().find(|(_, model)| *model == self).map_or("", |(name, _)| name)
    }

    /// The losses that go with it, its own first; none where the target decides.
    fn losses(self) -> &'static [LossKind] {
        use LossKind::{Binary, Hinge, Huber, Poisson, Softmax, Squared, SquaredHinge};
        match self {
            Self::Linear => &[Squared, Huber, Poisson],
            Self::Logistic => &[Binary],
            Self::Multinomial => &[Softmax],
            Self::Svm => &[SquaredHinge, Hinge],
            Self::Mlp => &[Squared, Softmax, Huber, Poisson, Binary, Hinge],
        }
    }
}

impl LossKind {
    /// The loss of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        Error::look_up("loss", name, &LOSSES)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        LOSSES.iter().find(|(_, loss)| *loss == self).map_or("", |(name, _)| name)
    }

    /// Whether its targets are classes.
    pub fn classifies(self) -> bool {
        matches!(self, Self::Binary | Self::Softmax | Self::SquaredHinge | Self::Hinge)
    }

    /// Whether it looks at one output for two classes.
    fn is_binary(self) -> bool {
        matches!(self, Self::Binary | Self::SquaredHinge)
    }
}

/// A model with its loss and regulariser.
#[derive(Debug, Clone, PartialEq)]
pub struct Learner {
    /// The model.
    pub model: ModelKind,
    /// Units of the hidden layers of an mlp.
    pub layers: Vec<usize>,
    /// Their activation.
    pub activation: Activation,
    /// The loss, where it does not follow from the model (and, for an mlp, the target).
    pub loss: Option<LossKind>,
    /// `λ` of the penalty `½ λ ‖w‖²`, which leaves out intercepts of linear models and takes in all parameters of an mlp. Default
    /// 0, for a support vector machine 10⁻³, without which it has no margin.
    pub l2: Option<f64>,
    /// Seed of the first parameters of an mlp; linear models start at zero.
    pub seed: u64,
}

impl Learner {
    /// What the target has to be.
    ///
    /// # Errors
    /// [`Error::Config`] if the loss does not go with the model.
    pub fn target_kind(&self) -> Result<TargetKind> {
        let own = self.model.losses();
        if let Some(loss) = self.loss {
            let requirement = "one that goes with the model (linear: squared, huber, poisson; svm: squared_hinge, hinge; mlp: all but squared_hinge)";
            Error::check_option(own.contains(&loss), "loss", requirement, loss.name())?;
        }
        Ok(match (self.model, self.loss) {
            (ModelKind::Mlp, None) => TargetKind::Infer,
            (_, loss) if loss.unwrap_or(own[0]).classifies() => TargetKind::Classes,
            _ => TargetKind::Values,
        })
    }

    /// The loss for a target, and the number of outputs.
    ///
    /// # Errors
    /// [`Error::Config`] if the loss does not go with the model or the target, above all for classes too few or too many.
    pub fn loss_for(&self, target: &Target) -> Result<(LossKind, usize)> {
        self.target_kind()?;
        let classes = target.classes();
        let loss = match (self.model, self.loss) {
            (_, Some(loss)) => loss,
            (ModelKind::Mlp, None) if !classes.is_empty() => LossKind::Softmax,
            (model, None) => model.losses()[0],
        };
        let found = || match classes {
            [] => "numbers".to_string(),
            [only] => format!("1 (`{only}`)"),
            _ => classes.len().to_string(),
        };
        if !loss.classifies() {
            Error::check_option(classes.is_empty(), "target", "numbers for this loss", found())?;
            return Ok((loss, 1));
        }
        Error::check_option(classes.len() > 1, "classes of the target", "at least two", found())?;
        if loss.is_binary() {
            let requirement = "two for a binary loss (`multinomial`, or `--loss hinge` for an svm, take more)";
            Error::check_option(classes.len() == 2, "classes of the target", requirement, found())?;
            return Ok((loss, 1));
        }
        Error::check_option(classes.len() <= MAX_CLASSES, "classes of the target", "at most 10000", found())?;
        Ok((loss, classes.len()))
    }

    /// `λ`.
    pub fn penalty(&self) -> f64 {
        self.l2.unwrap_or(if self.model == ModelKind::Svm { 1e-3 } else { 0.0 })
    }
}

/// More are taken for numbers by mistake.
const MAX_CLASSES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn learner(model: ModelKind, loss: Option<LossKind>) -> Learner {
        Learner { model, layers: vec![4], activation: Activation::Tanh, loss, l2: None, seed: 0 }
    }

    fn classes(n: usize) -> Target {
        Target::Classes { labels: vec![0; 3], names: (0..n).map(|c| format!("c{c}")).collect() }
    }

    #[test]
    fn loss_follows_from_model_and_target() {
        let numbers = Target::Values(vec![1.0; 3]);
        for (model, loss, target, expected) in [
            (ModelKind::Linear, None, &numbers, (LossKind::Squared, 1)),
            (ModelKind::Linear, Some(LossKind::Poisson), &numbers, (LossKind::Poisson, 1)),
            (ModelKind::Logistic, None, &classes(2), (LossKind::Binary, 1)),
            (ModelKind::Multinomial, None, &classes(2), (LossKind::Softmax, 2)),
            (ModelKind::Svm, None, &classes(2), (LossKind::SquaredHinge, 1)),
            (ModelKind::Svm, Some(LossKind::Hinge), &classes(3), (LossKind::Hinge, 3)),
            (ModelKind::Mlp, None, &numbers, (LossKind::Squared, 1)),
            (ModelKind::Mlp, None, &classes(3), (LossKind::Softmax, 3)),
            (ModelKind::Mlp, Some(LossKind::Binary), &classes(2), (LossKind::Binary, 1)),
        ] {
            assert_eq!(learner(model, loss).loss_for(target).unwrap(), expected, "{model:?} {loss:?}");
        }
        assert_eq!(learner(ModelKind::Mlp, None).target_kind().unwrap(), TargetKind::Infer);
        assert_eq!(learner(ModelKind::Svm, None).target_kind().unwrap(), TargetKind::Classes);
        assert_eq!(learner(ModelKind::Linear, None).target_kind().unwrap(), TargetKind::Values);
    }

    #[test]
    fn losses_and_targets_that_do_not_go_together_are_refused() {
        let numbers = Target::Values(vec![1.0; 3]);
        for (model, loss, target, piece) in [
            (ModelKind::Linear, Some(LossKind::Softmax), &numbers, "goes with the model"),
            (ModelKind::Mlp, Some(LossKind::SquaredHinge), &classes(2), "goes with the model"),
            (ModelKind::Linear, None, &classes(2), "numbers for this loss, found 2"),
            (ModelKind::Logistic, None, &classes(1), "at least two, found 1 (`c0`)"),
            (ModelKind::Multinomial, None, &numbers, "at least two, found numbers"),
            (ModelKind::Logistic, None, &classes(3), "two for a binary loss"),
            (ModelKind::Svm, None, &classes(3), "two for a binary loss"),
            (ModelKind::Multinomial, None, &classes(10_001), "at most 10000"),
        ] {
            let message = learner(model, loss).loss_for(target).unwrap_err().to_string();
            assert!(message.contains(piece), "{message}");
        }
    }
}
