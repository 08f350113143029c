"""What lesson 12 wrote for later ones, generated from lessons/12_conditional_generation.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.functional import gaussian_blur

import course_utils as cu
from course_utils.checks.references.ref_12 import class_coverage as checked_coverage
from course_utils.checks.references.ref_12 import conditional_elbo as checked_elbo
from course_utils.checks.references.ref_12 import guide as checked_guide
from course_utils.checks.references.ref_12 import projection_logit as checked_logit
from course_utils.checks.references.ref_12 import slant as checked_slant
from course_utils.checks.references.ref_12 import withhold as checked_withhold
from course_utils.lessons.lesson_04 import VAE
from course_utils.lessons.lesson_06 import diffusion_loss
from course_utils.lessons.lesson_06 import predictor
from course_utils.lessons.lesson_06 import spaced
from course_utils.lessons.lesson_06 import way_back
from course_utils.lessons.lesson_09 import PixelCNN
from course_utils.lessons.lesson_09 import draw
from course_utils.lessons.lesson_09 import letter_loss
from course_utils.lessons.lesson_09 import pixels_of
from course_utils.lessons.lesson_10 import Convs
from course_utils.lessons.lesson_10 import clouds
from course_utils.lessons.lesson_10 import draw_flow
from course_utils.lessons.lesson_10 import flow_loss
from course_utils.lessons.lesson_10 import image_flow
from course_utils.nets.unet import UNet


# Section 1 · The order form

CENTRE = torch.tensor([-0.1086, 0.1307])  # mean slant and ink of the training digits
SPREAD = torch.tensor([0.2770, 0.0434])  # and their deviations


def measured(x):
    """Slant and ink of images (n, 1, 28, 28) in [0, 1], in training deviations: (n, 2)."""
    found = torch.stack([checked_slant(x[:, 0]), x.mean((1, 2, 3))], 1)
    return (found - CENTRE.to(x)) / SPREAD.to(x)


def orders_of(x, y):
    """What images x (n, 1, 28, 28) with classes y (n,) are: class, slant, ink, (n, 3)."""
    return torch.cat([y[:, None].to(x), measured(x)], 1)


@torch.no_grad()
def read_class(pages):
    """What the course's classifier reads in images (n, 1, 28, 28): (n,) on the CPU."""
    net = cu.metrics.classifier()
    where = next(net.parameters()).device
    return torch.cat([net(part.to(where)).argmax(1).cpu() for part in pages.split(500)])


def as_coins(pages, seed=0):
    """Images (n, 1, 28, 28) in [0, 1], each pixel black or white by chance."""
    return torch.bernoulli(pages, generator=torch.Generator().manual_seed(seed))


# Section 3 · Five cooks, one kitchen

def some_fields(order):
    """Orders (B, 3) with fields left empty: each draws its own share u², u uniform."""
    share = torch.rand(len(order), 1, device=order.device).square()
    return checked_withhold(order, torch.rand_like(order), share)


SIZE = 32  # of the vector that the form becomes


class OrderForm(nn.Module):
    """Orders (B, 3) of class, slant and ink, NaN where a field is empty → vectors (B, 32)."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Parameter(torch.randn(10, SIZE))  # one a class
        self.read = cu.nets.mlp(4, 64, SIZE)
        self.register_buffer("digits", torch.arange(10.0), persistent=False)

    def forward(self, order):
        digit = order[:, :1] == self.digits  # (B, 10); NaN equals nothing
        numbers = order[:, 1:]
        told = ~numbers.isnan()
        rest = self.read(torch.cat([numbers.nan_to_num(), told.float()], 1))
        return digit.float() @ self.rows + rest


class Hears(nn.Module):
    """What a layer says, plus what the order says, alike at every place."""

    told = None  # (B, 32), set by `tell`

    def __init__(self, layer, outputs):
        super().__init__()
        self.layer = layer
        self.ask = nn.Linear(SIZE, outputs)

    def forward(self, x):
        h = self.layer(x)
        heard = self.ask(self.told)
        return h + heard.view(*heard.shape, *[1] * (h.dim() - 2))

    def __getstate__(self):
        return self.__dict__ | {"told": None}  # a copy has heard nothing yet


def tell(model, order):
    """Fill in the form for all layers of `model` that hear; returns the model."""
    told = model.form(order)
    for layer in model.modules():
        if isinstance(layer, Hears):
            layer.told = told
    return model


def new_cvae(latent=16, width=16):
    """Lesson 04's VAE, hearing the order on both sides."""
    model = VAE(latent, width)
    model.head = Hears(model.head, 2 * latent)
    model.paint[0] = Hears(model.paint[0], 98 * width)
    model.form = OrderForm()
    return model


def new_flow(steps=(6, 6, 4), width=28):
    """Lesson 10's flow, smaller; every coupling network hears the order."""
    model = image_flow(steps, width)
    for net in model.modules():
        if isinstance(net, Convs):
            net.look = Hears(net.look, width)
    model.form = OrderForm()
    return model


def new_pixelcnn(width=36):
    """Lesson 09's PixelCNN, narrower; both stacks hear the order, one in every gate."""
    model = PixelCNN(width)
    model.first_v = Hears(model.first_v, width)
    model.first_h = Hears(model.first_h, width)
    for layer in model.layers:
        layer.link = Hears(layer.link, 2 * width)
    model.form = OrderForm()
    return model


def new_guided(width=16, embedding=128):
    """Lesson 06's U-Net, a third as wide; the vector of the time hears the order."""
    model = UNet(width=width, embedding=embedding)
    model.embed_time[2] = Hears(model.embed_time[2], embedding)
    model.form = OrderForm()
    return model


def cvae_loss(model, x, order):
    """Minus the bound (5), in nats: x (B, 1, 28, 28) in [0, 1], orders (B, 3)."""
    order = some_fields(order)

    def encode(x, order):
        return tell(model, order).encode(x)

    def decode(z, order):
        return tell(model, order).decode(z)

    noise = torch.randn(len(x), model.paint[0].layer.in_features, device=x.device)
    return -checked_elbo(encode, decode, torch.bernoulli(x), order, noise).mean()


def guided_loss(model, x, order):
    """Lesson 06's loss for v."""
    return diffusion_loss(tell(model, some_fields(order)), x)


def all_orders(split, size=5_000):
    """The orders of all digits of a split, (n, 3): what each of them is."""
    parts = zip(split.x.split(size), split.y.split(size))
    return torch.cat([orders_of(x.float() / 255, y) for x, y in parts])


# Section 4 · The GAN, two more losses, and how each one draws

def block(layer, norm=nn.Identity):
    return nn.Sequential(layer, norm(layer.out_channels), nn.LeakyReLU(0.2))


class Generator(nn.Module):
    """Lesson 05's G, narrower: z (B, 32) → images (B, 1, 28, 28) in [0, 1]."""

    def __init__(self, w=26, latent=32):
        super().__init__()
        norm = nn.BatchNorm2d
        self.latent = latent
        self.form = OrderForm()
        first = Hears(nn.Linear(latent, 98 * w), 98 * w)
        self.start = nn.Sequential(first, nn.Unflatten(1, (2 * w, 7, 7)), norm(2 * w))
        self.body = nn.Sequential(
            nn.LeakyReLU(0.2),
            block(nn.Conv2d(2 * w, 2 * w, 3, 1, 1), norm),
            block(nn.ConvTranspose2d(2 * w, w, 4, 2, 1), norm),
            block(nn.Conv2d(w, w, 3, 1, 1), norm),
        )
        self.ink = nn.Sequential(nn.Conv2d(w, 4, 3, 1, 1), nn.PixelShuffle(2), nn.Sigmoid())

    def forward(self, z):
        return self.ink(self.body(self.start(z)))


class Critic(nn.Module):
    """Images (B, 1, 28, 28) in [0, 1] and orders (B, 3) → logits (B,); sees the batch vary."""

    def __init__(self, w=26, features=64):
        super().__init__()
        self.body = nn.Sequential(
            block(nn.Conv2d(4, w, 3, 1, 1)),
            block(nn.Conv2d(w, 2 * w, 4, 2, 1)),
            block(nn.Conv2d(2 * w, 4 * w, 3, 2, 1)),
        )
        self.last = nn.Sequential(nn.Linear((4 * w + 1) * 16, features), nn.LeakyReLU(0.2))
        self.judge = nn.Sequential(nn.Linear(features, 1), nn.Flatten(0))
        self.embed = nn.Sequential(OrderForm(), nn.Linear(SIZE, features))

    def look(self, x):
        h = self.body(F.pixel_unshuffle(2 * x - 1, 2))  # (B, 4w, 4, 4)
        spread = h.var(0, correction=min(1, len(h) - 1))
        std = (spread + 1e-8).sqrt().mean().expand(len(h), 1, 4, 4)
        return self.last(torch.cat([h, std], 1).flatten(1))

    def forward(self, x, order):
        return checked_logit(self.look, self.judge, self.embed, x, order)


def r1(D, x, order):
    """Half the mean squared slope of D at real images (lesson 05, section 5)."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, order).sum(), x, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() / 2


def downhill(opt, loss):
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()


def take_turns(x, order, game):
    """One round of lesson 05's game on real digits x and their orders; fakes get the same."""
    G = game["G"]
    D = game["D"]
    order = some_fields(order)
    fake = tell(G, order)(torch.randn(len(x), G.latent, device=x.device))
    loss_d = F.softplus(-D(x, order)).mean() + F.softplus(D(fake.detach(), order)).mean()
    downhill(game["opt_d"], loss_d + 0.05 * r1(D, x[:8], order[:8]))
    D.requires_grad_(False)
    loss_g = F.softplus(-D(fake, order)).mean()
    downhill(game["opt_g"], loss_g)
    D.requires_grad_(True)
    for part in ("slow_g", "slow_d"):
        game[part].step()
    game["average"].update()
    return {"loss of D": loss_d, "loss of G": loss_g}


def new_game(seed=0, lr=2e-3):
    """Players, optimisers, falling rates, G's average; in `state` of cu.loop."""
    torch.manual_seed(seed)
    G, D = cu.prepare(Generator(), Critic())
    game = {"G": G, "D": D}
    for name, net in (("g", G), ("d", D)):
        opt = torch.optim.Adam(net.parameters(), lr, (0.0, 0.99), fused=True)
        slowing = torch.optim.lr_scheduler.LambdaLR(opt, lambda t: (1 + t / 4_000) ** -0.5)
        game |= {f"opt_{name}": opt, f"slow_{name}": slowing}
    return game | {"average": cu.train.EMA(G, 0.9995)}


def cflow_loss(model, x, order):
    """Bits a pixel (lesson 10)."""
    order = some_fields(order)
    return flow_loss(tell(model, order), x)


def cpixel_loss(model, x, order):
    """Nats a binarised digit (lesson 09)."""
    order = some_fields(order)
    return letter_loss(tell(model, order), x)


def told_noise(net):
    """Lesson 06's `predictor`, which takes an order, too: predict(x, t, order) → ε̂."""

    def predict(x, t, order):
        return predictor(tell(net, order))(x, t)

    return predict


def guided(net, order, w):
    """`predict(x, t)` for lesson 06's samplers: orders (B, 3), guidance scale w."""
    predict = told_noise(net)
    if w == 1:  # half the work
        return lambda x, t: predict(x, t, order)
    return lambda x, t: checked_guide(predict, x, t, order, w)


def in_parts(make, model, orders, *noise, size=250):
    """Images (n, 1, 28, 28) on the CPU: make(part of the orders, parts of the noise)."""
    where = next(model.parameters()).device
    pages = []
    for part in zip(orders.split(size), *(one.split(size) for one in noise)):
        pages.append(make(*(one.to(where) for one in part)).cpu())
    return torch.cat(pages)


@torch.no_grad()
def draw_cvae(model, orders, knob=1.0, seed=0):
    """Binary images; the knob is the width of the prior."""
    g = torch.Generator().manual_seed(seed)
    z = knob * torch.randn(len(orders), model.paint[0].layer.in_features, generator=g)
    u = torch.rand(len(z), 1, 28, 28, generator=g)

    def make(order, z, u):
        return (u < tell(model, order).decode(z).sigmoid()).float()

    return in_parts(make, model, orders, z, u)


@torch.no_grad()
def draw_cgan(G, orders, knob=math.inf, seed=0):
    """Grey images; the knob is where the noise is cut off (no number beyond ± knob)."""
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(len(orders), G.latent, generator=g).double()
    inside = math.erf(knob / math.sqrt(2))
    z = math.sqrt(2) * torch.erfinv((2 * u - 1) * inside).clamp(-6, 6)
    return in_parts(lambda order, z: tell(G.eval(), order)(z), G, orders, z.float())


@torch.no_grad()
def draw_cflow(model, orders, knob=1.0, seed=0):
    """Grey images; the knob is the temperature of the noise."""
    z = clouds(len(orders), seed, knob)
    return in_parts(lambda order, z: draw_flow(tell(model, order), z), model, orders, z)


@torch.no_grad()
def draw_cpixel(model, orders, knob=1.0, seed=0):
    """Binary images; the knob is the temperature of the letters."""
    g = torch.Generator().manual_seed(seed)

    def make(order):
        return pixels_of(draw(tell(model, order), len(order), g, knob))

    return in_parts(make, model, orders, size=500)


@torch.no_grad()
def draw_guided(net, orders, knob=1.0, seed=0):
    """Grey images; the knob is the guidance scale w."""
    g = torch.Generator().manual_seed(seed)
    times = spaced(cu.budget(50, 5))

    def make(order):
        x = torch.randn(len(order), 1, 28, 28, generator=g)
        x = x.to(order.device, memory_format=torch.channels_last)
        x = way_back(guided(net, order, knob), x, times, clip=1.0, generator=g)
        return (x / 2 + 0.5).clamp(0, 1).contiguous()

    return in_parts(make, net, orders)


COOKS = {  # name: (how it is built, how it draws, its honest knob)
    "cvae": (new_cvae, draw_cvae, 1.0),
    "cgan": (Generator, draw_cgan, math.inf),
    "flow": (new_flow, draw_cflow, 1.0),
    "pixelcnn": (new_pixelcnn, draw_cpixel, 1.0),
    "guided": (new_guided, draw_guided, 1.0),
}


# Section 6 · The plane

def only_class(y):
    """Orders (n, 3) that name the classes y (n,) and nothing else."""
    return F.pad(y[:, None].float(), (0, 2), value=math.nan)


def hundred(split, each=100, part=0):
    """The part-th `each` digits of every class of a shuffled split, class by class."""
    g = torch.Generator().manual_seed(0)
    chosen = []
    for digit in range(10):
        mine = (split.y == digit).nonzero()[:, 0]
        shuffled = torch.randperm(len(mine), generator=g)
        chosen.append(mine[shuffled[part * each :][:each]])
    return split[torch.cat(chosen)]


def looked_at(pages, pixels):
    """The judge's features of images, blurred by some pixels (0: not at all)."""
    soft = gaussian_blur(pages, 9, pixels) if pixels else pages
    return cu.metrics.features(cu.to_uint8(soft))


@functools.cache
def reference(pixels=1.0):
    """A hundred validation digits a class: features, and classes."""
    real = hundred(cu.mnist().val, cu.budget(100, 20))
    return looked_at(as_coins(real.float()), pixels), real.y


def judge(pages, y, seed=0, pixels=1.0):
    """Obedience and freedom of images (n, 1, 28, 28) that were ordered as y (n,)."""
    pages = as_coins(pages, seed)
    free = checked_coverage(*reference(pixels), looked_at(pages, pixels), y)
    return {"class": (read_class(pages) == y).float().mean().item(), "coverage": float(free)}


__all__ = [
    "CENTRE",
    "COOKS",
    "Critic",
    "Generator",
    "Hears",
    "OrderForm",
    "SIZE",
    "SPREAD",
    "all_orders",
    "as_coins",
    "block",
    "cflow_loss",
    "checked_coverage",
    "checked_elbo",
    "checked_guide",
    "checked_logit",
    "checked_slant",
    "checked_withhold",
    "cpixel_loss",
    "cvae_loss",
    "downhill",
    "draw_cflow",
    "draw_cgan",
    "draw_cpixel",
    "draw_cvae",
    "draw_guided",
    "guided",
    "guided_loss",
    "hundred",
    "in_parts",
    "judge",
    "looked_at",
    "measured",
    "new_cvae",
    "new_flow",
    "new_game",
    "new_guided",
    "new_pixelcnn",
    "only_class",
    "orders_of",
    "r1",
    "read_class",
    "reference",
    "some_fields",
    "take_turns",
    "tell",
    "told_noise",
]
