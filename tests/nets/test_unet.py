"""The shared U-Net: shapes, what it is told, where it starts, and that every weight can learn."""

import math

import pytest
import torch
from torch import nn

from course_utils.nets.unet import Attention, UNet, time_features


@pytest.fixture
def stirred():
    """A small conditional network whose zero-initialised layers have been given random weights."""
    torch.manual_seed(0)
    return stir(UNet(width=16, labels=10, embedding=32))


def stir(net):
    """Give every weight of `net` that starts at zero a random value; returns it."""
    with torch.no_grad():
        for weight in net.parameters():
            if not weight.any():
                weight.normal_(std=0.1)
    return net


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (2, 16)])
def test_it_gives_an_image_of_the_shape_it_got(channels, side):
    x = torch.randn(2, channels, side, side)
    assert UNet(channels, width=16)(x, torch.tensor([1, 1000])).shape == x.shape


def test_the_default_has_fewer_than_two_million_weights_and_starts_at_zero():
    net = UNet()
    assert sum(weight.numel() for weight in net.parameters()) < 2_000_000
    assert not net(torch.randn(2, 1, 28, 28), torch.tensor([3, 700])).any()


def test_every_weight_gets_a_gradient(stirred):
    stirred(
        torch.randn(4, 1, 28, 28), torch.tensor([1, 50, 500, 1000]), torch.tensor([0, 3, 9, 10])
    ).square().sum().backward()
    still = [
        name for name, weight in stirred.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert not still
    used = stirred.embed_label.weight.grad.abs().sum(1) > 0
    assert used.nonzero().flatten().tolist() == [0, 3, 9, 10]


def test_time_and_label_change_the_answer_and_no_label_is_the_last_one(stirred):
    x = torch.randn(1, 1, 28, 28)
    with torch.no_grad():
        base = stirred(x, torch.tensor([500]), torch.tensor([4]))
        assert (stirred(x, torch.tensor([501]), torch.tensor([4])) - base).abs().max() > 1e-4
        assert (stirred(x, torch.tensor([500]), torch.tensor([5])) - base).abs().max() > 1e-4
        untold = stirred(x, torch.tensor([500]))
        torch.testing.assert_close(untold, stirred(x, torch.tensor([500]), torch.tensor([10])))


def test_examples_do_not_see_each_other(stirred):
    x, t, y = torch.randn(3, 1, 28, 28), torch.tensor([2, 400, 999]), torch.tensor([1, 10, 7])
    with torch.no_grad():
        together = stirred(x, t, y)
        alone = torch.cat([stirred(x[i : i + 1], t[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_every_place_sees_every_other(stirred):
    x = torch.randn(1, 1, 28, 28, requires_grad=True)
    out = stirred(x, torch.tensor([300]))
    (gradient,) = torch.autograd.grad(out[0, 0, 0, 0], x)
    assert (gradient[0, 0, 20:, 20:].abs() > 0).all()


def test_fresh_labels_leave_unconditional_weights_as_they_are():
    torch.manual_seed(0)
    free, told = stir(UNet(width=16)), UNet(width=16, labels=10)
    left = told.load_state_dict(free.state_dict(), strict=False)
    assert left.missing_keys == ["embed_label.weight"] and not left.unexpected_keys
    x, t = torch.randn(3, 1, 28, 28), torch.tensor([1, 500, 1000])
    torch.testing.assert_close(told(x, t, torch.tensor([0, 7, 10])), free(x, t))


def test_what_does_not_fit_is_refused_with_the_reason():
    net = UNet(width=16)
    with pytest.raises(ValueError, match="unconditional"):
        net(torch.randn(1, 1, 28, 28), torch.tensor([1]), torch.tensor([1]))
    with pytest.raises(ValueError, match="multiples of 4"):
        net(torch.randn(1, 1, 30, 30), torch.tensor([1]))
    with pytest.raises(ValueError, match="even"):
        time_features(torch.tensor([1]), 7)


def test_time_features_are_the_hands_of_clocks():
    t = torch.arange(0, 1001)
    out = time_features(t, 64)
    assert out.shape == (1001, 64)
    torch.testing.assert_close(out[:, 0], t.float().sin())
    torch.testing.assert_close(out[:, 63], (t / 1000).cos(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out[:, :32].square() + out[:, 32:].square(), torch.ones(1001, 32))
    apart = torch.cdist(out, out) + 10 * torch.eye(1001)
    assert apart.min() > 0.1  # no two times look alike


def test_attention_is_softmax_attention():
    torch.manual_seed(0)
    layer = stir(Attention(16, heads=2))
    x = torch.randn(2, 16, 3, 3)
    tokens = layer.norm(x).flatten(2).transpose(1, 2)  # (2, 9, 16)
    q, k, v = layer.qkv(tokens).chunk(3, -1)
    parts = []
    for head in range(2):
        at = slice(8 * head, 8 * head + 8)
        weight = torch.softmax(q[..., at] @ k[..., at].transpose(1, 2) / math.sqrt(8), -1)
        parts.append(weight @ v[..., at])
    expected = x + layer.out(torch.cat(parts, -1)).transpose(1, 2).view(2, 16, 3, 3)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_it_learns_eight_pictures_by_heart():
    torch.manual_seed(0)
    net = UNet(width=16, embedding=32)
    x, goal = torch.randn(2, 8, 1, 28, 28)
    t = torch.arange(1, 1000, 125)
    goal = nn.functional.avg_pool2d(goal, 3, 1, 1)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = (net(x, t) - goal).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5
