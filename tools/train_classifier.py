"""Train the classifier whose features measure every generator: writes data/runs/classifier and data/judge.

    COURSE_PROFILE=full python tools/train_classifier.py        (about ten minutes on two cores)

It is trained on the 55,000 training images, its settings were chosen on the 5,000 validation images, and the
test set is read once, for the card. Once shipped it is not trained again: no generator is tuned against a
moving ruler.
"""

import torch
from torch.nn import functional as F

import course_utils as cu
from course_utils import nets
from course_utils.nets import classifier

BATCH, EPOCHS = 128, 12


def loss(model: nets.DigitClassifier, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy on images shifted by up to two pixels: features should not depend on where a digit
    stands.

    No label smoothing: it would press each class into a point and the ruler would no longer see variety
    within one.
    """
    return F.cross_entropy(model(classifier.shift(x, 2)), y)


@torch.no_grad()
def accuracy(model: nets.DigitClassifier, split) -> float:
    """Share of a split that the model classifies correctly."""
    model.eval()
    where = next(model.parameters()).device
    right = 0
    for start in range(0, len(split), 1000):
        part = split[start : start + 1000]
        right += (model(part.float().to(where)).argmax(1).cpu() == part.y).sum().item()
    return right / len(split)


def main() -> None:
    """Train, measure, save."""
    cu.setup(seed=0)
    digits = cu.mnist()
    model = nets.DigitClassifier()
    batches = cu.Batches(digits.train, BATCH, labels=True)
    steps = EPOCHS * len(batches)
    history = cu.fit(
        model,
        loss,
        batches,
        steps=steps,
        full=steps,
        lr=3e-3,
        ema=0.999,
        schedule="cosine",
        weight_decay=1e-4,
        name="classifier",
    )
    best = history.ema
    figures = {
        "validation accuracy": (accuracy(best, digits.val), 0.001),
        "test accuracy": (accuracy(best, digits.test), 0.001),
    }
    cu.save_run(
        "classifier",
        best,
        what="metric classifier; features of its last hidden layer",
        figures=figures,
        history=history,
    )
    cu.metrics.save_judge()
    print(figures)


if __name__ == "__main__":
    main()
