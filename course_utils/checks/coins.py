"""What the check of lesson 04's sampler expects: latents from N(0, I), pixels that are coins, one generator."""

import torch

from course_utils.checks.machinery import call, expect


def expect_prior(z):
    """Expect latents (n, k) to be independent and standard normal."""
    centre, width = z.mean(0), z.std(0)
    expect(
        bool((z[0] != z[1]).any()),
        "every image has the same latent: draw n of them, (n, k), not one for all.",
    )
    expect(
        bool((centre.abs() < 0.05).all()),
        f"the latents have mean {z.mean():.2f}; p(z) is N(0, I), so draw them with torch.randn, not rand.",
    )
    expect(
        bool(((width - 1).abs() < 0.03).all()),
        f"the latents have standard deviation {z.std():.2f}; p(z) is N(0, I).",
    )
    expect(
        bool(((torch.corrcoef(z.T) - torch.eye(z.shape[1])).abs() < 0.05).all()),
        "the k latents of one image rise and fall together; p(z) is N(0, I): draw (n, k) numbers.",
    )
    expect(
        bool((z.abs() > 2.5).any()), "no latent is beyond 2.5: p(z) is N(0, I), neither uniform nor cut off."
    )


def expect_coins(z, x):
    """Expect pixels x, (n, 1, 2, 3), to be coins with the chances that the decoder of the check gave them."""
    expect(
        bool(((x == 0) | (x == 1)).all()),
        "these are chances or logits, not pixels: toss a coin for each with torch.bernoulli.",
    )
    share = x.double().mean(0).flatten()
    expect(
        0.4 < share[0] < 0.6,
        f"a pixel with logit 0 should be inked in half of the images, yours is in {share[0]:.0%}: a coin, not"
        " a threshold, and sigmoid of the logit, not the logit.",
    )
    chance = torch.tensor(2.0).sigmoid().item()
    expect(
        abs(share[1] - (1 - chance)) > 0.03,
        "ink and paper are exchanged: sigmoid of the logit is the chance of a 1.",
    )
    expect(
        abs(share[1] - chance) < 0.012,
        f"a pixel with logit 2 has the chance sigmoid(2) = {chance:.2f}, yours is inked in {share[1]:.2f}.",
    )
    expect(share[2] == 0, "a pixel with logit −60 is never inked.")
    expect(
        torch.equal(x[:, 0, 1] > 0, z > 0),
        "the pixels must come from the latents that you return: decode THE SAME z.",
    )
    both = (x[:, 0, 0, 0] * x[:, 0, 0, 1]).double().mean().item()
    expect(
        abs(both - 0.5 * chance) < 0.02,
        "two pixels of one image rise and fall together: given z each pixel has a coin of its own.",
    )
    expect(
        x.is_floating_point(),
        f"the pixels are {x.dtype}; the networks take 0.0 and 1.0: turn them into floats.",
    )


def expect_generator_alone(fn, decode):
    """Expect every draw to come from the generator that was passed, and to move it on."""

    def run(generator):
        return call(fn, decode, 30, 3, generator)

    generator = torch.Generator().manual_seed(0)
    first, second = run(generator), run(generator)
    again, other = run(torch.Generator().manual_seed(0)), run(torch.Generator().manual_seed(5))
    expect(
        torch.equal(first[0], again[0]),
        "the same generator must give the same latents: pass generator=generator to torch.randn.",
    )
    expect(
        torch.equal(first[1], again[1]),
        "the same generator must give the same pixels: pass generator=generator to the coins as well.",
    )
    expect(
        not torch.equal(first[0], second[0]),
        "two calls with one generator give the same latents: draw from it, do not seed it (or another) anew.",
    )
    expect(
        not torch.equal(first[0], other[0]),
        "another seed gives the same latents: use the generator that is passed, not one of your own.",
    )
