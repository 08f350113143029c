"""Wrong answers to the exercises of lesson 13b, each with a part of the hint that it must get."""

import torch


def apart(G, x, z):
    """How far all starts are from their pictures: (s, n, pixels)."""
    return (G(z.flatten(0, 1)).unflatten(0, z.shape[:2]) - x).flatten(2)


def squares(G, x, z):
    return apart(G, x, z).square().sum(2)


def leaf(z):
    return z.detach().clone().requires_grad_()


def walked(G, x, z, steps, lr, loss=squares, make=torch.optim.Adam):
    """The ends of all starts (s, n, d)."""
    z = leaf(z)
    opt = make([z], lr)
    for _ in range(steps):
        (z.grad,) = torch.autograd.grad(loss(G, x, z).sum(), z)
        opt.step()
    return z.detach()


def taken(z, errors):
    return z[errors.argmin(0), torch.arange(z.shape[1])]


@torch.no_grad()
def best(G, x, z):
    return taken(z, squares(G, x, z))


def chosen(choose):
    """Descends rightly, and chooses by `choose(ends, errors)`."""

    def descend(G, x, z, steps=150, lr=0.1):
        z = walked(G, x, z, steps, lr)
        with torch.no_grad():
            return choose(z, squares(G, x, z))

    return descend


def stepped(**kind):
    """Chooses rightly, and descends in another way."""

    def descend(G, x, z, steps=150, lr=0.1):
        return best(G, x, walked(G, x, z, steps, lr, **kind))

    return descend


def measured_by(errors):
    """Descends and chooses by other errors (s, n)."""

    def descend(G, x, z, steps=150, lr=0.1):
        z = walked(G, x, z, steps, lr, errors)
        with torch.no_grad():
            return taken(z, errors(G, x, z))

    return descend


def errors_start_by_start(G, x, z):
    s, n = z.shape[:2]
    off = G(z.flatten(0, 1)) - x.repeat_interleave(s, 0)
    return off.square().flatten(1).sum(1).view(s, n)


def errors_taken_apart_wrongly(G, x, z):
    s, n = z.shape[:2]
    return (G(z.flatten(0, 1)).unflatten(0, (n, s)).transpose(0, 1) - x).square().flatten(2).sum(2)


def errors_to_all(G, x, z):
    off = G(z.flatten(0, 1))[:, None] - x
    return off.square().flatten(1).sum(1).unflatten(0, z.shape[:2])


def errors_not_taken_apart(G, x, z):
    return (G(z.flatten(0, 1)) - x).square().flatten(1).sum(1)


def errors_not_flattened(G, x, z):
    return (G(z) - x).square().flatten(2).sum(2)


def descend_chosen_at_first(G, x, z, steps=150, lr=0.1):
    with torch.no_grad():
        errors = squares(G, x, z)
    return taken(walked(G, x, z, steps, lr), errors)


def descend_no_step(G, x, z, steps=150, lr=0.1):
    return best(G, x, z)


def descend_one_step_more(G, x, z, steps=150, lr=0.1):
    return best(G, x, walked(G, x, z, steps + (steps > 0), lr))


def descend_ignores_lr(G, x, z, steps=150, lr=0.1):
    return best(G, x, walked(G, x, z, steps, 0.1))


def descend_ignores_steps(G, x, z, steps=150, lr=0.1):
    return best(G, x, walked(G, x, z, 150, lr))


def descend_other_lr(G, x, z, steps=150, lr=0.05):
    return best(G, x, walked(G, x, z, steps, lr))


def descend_other_steps(G, x, z, steps=100, lr=0.1):
    return best(G, x, walked(G, x, z, steps, lr))


def descend_adding_slopes(G, x, z, steps=150, lr=0.1):
    z = leaf(z)
    opt = torch.optim.Adam([z], lr)
    for _ in range(steps):
        squares(G, x, z).sum().backward(inputs=[z])
        opt.step()
    return best(G, x, z.detach())


def descend_adam_anew(G, x, z, steps=150, lr=0.1):
    for _ in range(steps):
        z = walked(G, x, z, 1, lr)
    return best(G, x, z)


def descend_trains_g(G, x, z, steps=150, lr=0.1):
    z = leaf(z)
    opt = torch.optim.Adam([z, *G.parameters()], lr)
    for _ in range(steps):
        opt.zero_grad()
        squares(G, x, z).sum().backward()
        opt.step()
    return best(G, x, z.detach())


def descend_leaves_gradients(G, x, z, steps=150, lr=0.1):
    z = leaf(z)
    opt = torch.optim.Adam([z], lr)
    for _ in range(steps):
        opt.zero_grad()
        squares(G, x, z).sum().backward()
        opt.step()
    return best(G, x, z.detach())


def descend_freezes_g(G, x, z, steps=150, lr=0.1):
    G.requires_grad_(False)
    return best(G, x, walked(G, x, z, steps, lr))


def descend_training_mode(G, x, z, steps=150, lr=0.1):
    G.train()
    out = best(G, x, walked(G, x, z, steps, lr))
    G.eval()
    return out


def descend_shared_numbers(G, x, z, steps=150, lr=0.1):
    z = z.detach().requires_grad_()
    opt = torch.optim.Adam([z], lr)
    for _ in range(steps):
        (z.grad,) = torch.autograd.grad(squares(G, x, z).sum(), z)
        opt.step()
    return best(G, x, z.detach()).clone()


def descend_in_place(G, x, z, steps=150, lr=0.1):
    z.requires_grad_()
    opt = torch.optim.Adam([z], lr)
    for _ in range(steps):
        (z.grad,) = torch.autograd.grad(squares(G, x, z).sum(), z)
        opt.step()
    return best(G, x, z.detach())


def descend_not_a_leaf(G, x, z, steps=150, lr=0.1):
    z = z.detach().requires_grad_().clone()
    opt = torch.optim.Adam([z], lr)
    for _ in range(steps):
        (z.grad,) = torch.autograd.grad(squares(G, x, z).sum(), z)
        opt.step()
    return best(G, x, z.detach())


def descend_no_grad(G, x, z, steps=150, lr=0.1):
    with torch.no_grad():
        return best(G, x, walked(G, x, z, steps, lr))


def descend_errors_of_last_step(G, x, z, steps=150, lr=0.1):
    z = leaf(z)
    opt = torch.optim.Adam([z], lr)
    for _ in range(steps):
        errors = squares(G, x, z)
        (z.grad,) = torch.autograd.grad(errors.sum(), z)
        opt.step()
    return taken(z.detach(), errors)


def descend_not_detached(G, x, z, steps=150, lr=0.1):
    z = leaf(walked(G, x, z, steps, lr))
    return taken(z, squares(G, x, z))


def descend_in_double(G, x, z, steps=150, lr=0.1):
    return best(G, x, walked(G, x, z, steps, lr)).double()


def descend_squeezed(G, x, z, steps=150, lr=0.1):
    return best(G, x, walked(G, x, z, steps, lr)).squeeze(0)


def centred(t):
    return t - t.mean(0)


def fit(z, a):
    return torch.linalg.lstsq(z, a).solution


def slopes(z, a):
    return fit(centred(z), centred(a))


def with_ones(z):
    return torch.cat([z, torch.ones_like(z[:, :1])], 1)


def of_slopes(change):
    return lambda z, a: change(slopes(z, a))


def directions_only_a_centred(z, a):
    return fit(z, centred(a))


def directions_covariance(z, a):
    return centred(z).T @ centred(a) / len(z)


def directions_products(z, a):
    return z.T @ a / len(z)


def directions_correlations(z, a):
    return directions_covariance(z, a) / (z.std(0, correction=0)[:, None] * a.std(0, correction=0))


def directions_one_by_one(z, a):
    return directions_covariance(z, a) / z.var(0, correction=0)[:, None]


def directions_standardised(z, a):
    return fit(centred(z) / z.std(0, correction=0), centred(a))


def directions_all_standardised(z, a):
    return fit(centred(z) / z.std(0), centred(a) / a.std(0))


def directions_ridge(z, a):
    z = centred(z)
    return torch.linalg.solve(z.T @ z + 0.1 * torch.eye(z.shape[1]).to(z), z.T @ centred(a))


def directions_tiny_ridge(z, a):
    z = centred(z)
    return torch.linalg.solve(z.T @ z + 3e-8 * torch.eye(z.shape[1]).to(z), z.T @ centred(a))


def directions_predicted(z, a):
    return centred(z) @ slopes(z, a)


def directions_on_cpu(z, a):
    ones = torch.ones(len(z), 1, dtype=z.dtype)
    return fit(torch.cat([z, ones], 1), a)[:-1]


def directions_transposed_in(z, a):
    return fit(centred(z).T, centred(a))


def shadow(d, others):
    return others @ fit(others, d[:, None])[:, 0]


def projections(d, others):
    """The shadow on each column by itself, (k, m)."""
    return others * (others.T @ d) / others.square().sum(0)


def of_projections(change):
    return lambda d, others: d - change(projections(d, others))


def of_pure(change):
    return lambda d, others: change(d - shadow(d, others))


def untangled_by_turns(d, others):
    for column in others.T:
        d = d - column * (column @ d) / (column @ column)
    return d


def untangled_not_divided(d, others):
    return d - others @ (others.T @ d)


def untangled_divided_once(d, others):
    return d - others / others.norm(dim=0) @ (others.T @ d)


def untangled_as_long(d, others):
    pure = d - shadow(d, others)
    return pure / pure.norm() * d.norm()


def untangled_rows(d, others):
    return d - others.T @ fit(others.T, d[:, None])[:, 0]


def untangled_roles_exchanged(d, others):
    return others - d[:, None] * (d @ others) / (d @ d)


def untangled_coefficients(d, others):
    return fit(others, d[:, None])[:, 0]


def untangled_of_the_sum(d, others):
    return d - shadow(d, others.sum(1, keepdim=True))


def untangled_small_number(d, others):
    gram = others.T @ others + 3e-8 * torch.eye(others.shape[1]).to(others)
    return d - others @ torch.linalg.solve(gram, others.T @ d)


def untangled_in_place(d, others):
    d -= shadow(d, others)
    return d


def untangled_squeezed(d, others):
    return d - (others @ fit(others, d[:, None])).T


def scaled(change):
    """Of the way from the centre to each style."""
    return lambda u, centre, psi: centre + change(u - centre, psi)


def truncated_in_place(u, centre, psi):
    u -= centre
    u *= psi
    u += centre
    return u


def truncated_unit(u, centre, psi):
    out = centre + psi * (u - centre)
    return out / out.norm(dim=1, keepdim=True)


def truncated_own_mean(u, centre, psi):
    return u.mean(0) + psi * (u - u.mean(0))


def truncated_column(u, centre, psi):
    return centre[:, None] + psi * (u - centre[:, None])


def truncated_in_float32(u, centre, psi):
    return (centre.float() + psi * (u - centre).float()).to(u.dtype)


def truncated_on_cpu(u, centre, psi):
    return torch.full(u.shape, float(psi), dtype=u.dtype) * (u - centre) + centre


def truncated_numbers_only(u, centre, psi):
    return centre + (psi if isinstance(psi, float) else 1.0) * (u - centre)


def truncated_squeezed(u, centre, psi):
    return (centre + psi * (u - centre)).squeeze()


WRONG = {
    "13b.descend": [
        (chosen(lambda z, errors: z[0]), "always the first start"),
        (chosen(lambda z, errors: z[-1]), "always the last start"),
        (chosen(lambda z, errors: z.mean(0)), "no address"),
        (chosen(lambda z, errors: z[errors.sum(1).argmin()]), "one start for the whole batch"),
        (chosen(lambda z, errors: taken(z, -errors)), "argmin, not argmax"),
        (chosen(lambda z, errors: z), "all starts come back"),
        (chosen(lambda z, errors: z.flatten(0, 1)[errors.argmin()]), "one latent for the whole batch"),
        (chosen(lambda z, errors: z[torch.arange(len(z)), errors.argmin(1)]), "best picture of each start"),
        (chosen(lambda z, errors: errors.amin(0)), "not the latent"),
        (chosen(lambda z, errors: taken(z, errors).tolist()), "this is a list"),
        (measured_by(errors_start_by_start), "no repeat_interleave"),
        (measured_by(errors_taken_apart_wrongly), "not (n, s)"),
        (measured_by(errors_to_all), "compared with all pictures"),
        (measured_by(errors_not_taken_apart), "(s, n)) before x"),
        (measured_by(errors_not_flattened), "G takes latents as rows"),
        (measured_by(lambda *a: apart(*a).sum(2)), "errors of both signs cancel"),
        (measured_by(lambda *a: apart(*a).sum(2).square()), "square each pixel's error first"),
        (measured_by(lambda *a: apart(*a).abs().sum(2)), "chosen by absolute errors"),
        (stepped(loss=lambda *a: apart(*a).abs().sum(2)), "descends absolute errors"),
        (stepped(loss=lambda *a: -squares(*a)), "uphill"),
        (stepped(loss=lambda *a: squares(*a).sqrt()), "root of each error"),
        (stepped(loss=lambda *a: squares(*a).sum().sqrt()), "root of the sum"),
        (stepped(make=torch.optim.SGD), "plain gradient descent"),
        (stepped(make=torch.optim.AdamW), "AdamW"),
        (stepped(make=torch.optim.Adagrad), "Adam on the squared errors, 12 steps"),
        (descend_chosen_at_first, "by the error at the start"),
        (descend_no_step, "no step is done"),
        (descend_one_step_more, "a step too few or too many"),
        (descend_ignores_lr, "lr is ignored"),
        (descend_ignores_steps, "comes back, as it is"),
        (descend_other_lr, "lr is 0.1"),
        (descend_other_steps, "150 steps where"),
        (descend_adding_slopes, "zero the gradient"),
        (descend_adam_anew, "made anew"),
        (descend_trains_g, "G comes out changed"),
        (descend_leaves_gradients, "gradients are left in G's weights"),
        (descend_freezes_g, "requires_grad off"),
        (descend_training_mode, "training mode"),
        (descend_shared_numbers, "shares its numbers"),
        (descend_in_place, "switches requires_grad on"),
        (descend_not_a_leaf, "leaves only"),
        (descend_no_grad, "no torch.no_grad"),
        (descend_errors_of_last_step, "errors come after the loop"),
        (descend_not_detached, ".detach() what you return"),
        (descend_in_double, "float32 goes in and float64 comes out"),
        (descend_squeezed, "no squeeze"),
    ],
    "13b.directions": [
        (fit, "intercept is missing"),
        (directions_only_a_centred, "only a is centred"),
        (lambda z, a: slopes(a, z), "predicts z from a; a from z"),
        (lambda z, a: slopes(a, z).T, "and is transposed"),
        (of_slopes(lambda d: d.T), "transposed: a column"),
        (of_slopes(lambda d: d / d.norm(dim=0)), "columns are divided"),
        (of_slopes(lambda d: d / d.norm()), "norm of the whole"),
        (of_slopes(lambda d: d / d.norm(dim=1, keepdim=True)), "rows are divided"),
        (of_slopes(lambda d: d[:, 0]), "only the first attribute"),
        (of_slopes(lambda d: d.mean(1)), "mean of the attributes' slopes"),
        (of_slopes(lambda d: -d), "sign is turned"),
        (of_slopes(lambda d: d.squeeze()), "no squeeze"),
        (lambda z, a: fit(with_ones(z), a), "intercept is returned"),
        (directions_covariance, "these are covariances"),
        (directions_products, "means of products"),
        (directions_correlations, "correlations"),
        (directions_one_by_one, "one latent at a time"),
        (directions_standardised, "standardised latents"),
        (directions_all_standardised, "standardised z and a"),
        (directions_ridge, "damped (ridge)"),
        (directions_tiny_ridge, "a small number is added"),
        (directions_predicted, "attributes as predicted"),
        (directions_on_cpu, "mixes devices"),
        (directions_transposed_in, "come as rows"),
        (lambda z, a: slopes(z, a).double(), "float32 goes in and float64 comes out"),
        (lambda z, a: slopes(z, a).tolist(), "this is a list"),
    ],
    "13b.untangled": [
        (of_projections(lambda each: each.sum(1)), "one by one from d"),
        (untangled_by_turns, "by turns"),
        (untangled_not_divided, "the division is missing"),
        (untangled_divided_once, "divided by the length once"),
        (of_pure(lambda pure: pure / pure.norm()), "divided by its length"),
        (untangled_as_long, "to the length of d"),
        (shadow, "this is the shadow of d"),
        (of_pure(lambda pure: -pure), "the sign is turned: d less its shadow"),
        (lambda d, others: -shadow(d, others), "minus the shadow"),
        (lambda d, others: d - 2 * shadow(d, others), "subtracted twice"),
        (lambda d, others: d + shadow(d, others), "the shadow is added"),
        (of_projections(lambda each: each[:, 0]), "only the first column"),
        (of_projections(lambda each: each.mean(1)), "their mean is subtracted"),
        (untangled_of_the_sum, "only the sum of the columns"),
        (untangled_roles_exchanged, "roles are exchanged"),
        (untangled_rows, "no rows"),
        (of_pure(lambda pure: pure[:, None]), "a column (k, 1)"),
        (lambda d, others: d[:, None] - projections(d, others), "one direction for each column"),
        (lambda d, others: d, "unchanged"),
        (untangled_coefficients, "coefficients"),
        (untangled_small_number, "a small number is added"),
        (untangled_squeezed, "a row (1, k)"),
        (untangled_in_place, "in place"),
        (of_pure(lambda pure: pure.double()), "float32 goes in and float64 comes out"),
    ],
    "13b.truncated": [
        (lambda u, centre, psi: psi * u, "scaled about 0"),
        (lambda u, centre, psi: u.clamp(-psi, psi), "each number is cut off"),
        (scaled(lambda off, psi: off.clamp(-psi, psi)), "way from the centre is cut off"),
        (scaled(lambda off, psi: off * (psi / off.norm(dim=1)).clamp(max=1)[:, None]), "distance is limited"),
        (scaled(lambda off, psi: psi * off / off.norm(dim=1, keepdim=True)), "all come to the distance psi"),
        (scaled(lambda off, psi: (1 - psi) * off), "exchanged"),
        (scaled(lambda off, psi: -psi * off), "sign is turned"),
        (scaled(lambda off, psi: psi**2 * off), "counts twice"),
        (scaled(lambda off, psi: off / 2), "always halfway"),
        (scaled(lambda off, psi: off), "nothing moved"),
        (lambda u, centre, psi: 2 * centre + psi * (u - centre), "added twice"),
        (lambda u, centre, psi: centre + psi * u, "subtract the centre before"),
        (lambda u, centre, psi: psi * (u - centre), "the centre is missing"),
        (lambda u, centre, psi: u + psi * (u - centre), "drives away"),
        (lambda u, centre, psi: psi * (u + centre), "weighs both"),
        (truncated_unit, "divided by their lengths"),
        (truncated_own_mean, "the mean of these styles"),
        (truncated_column, "the centre is a row"),
        (truncated_in_float32, "seven digits"),
        (truncated_on_cpu, "mixes devices"),
        (truncated_numbers_only, "a tensor without axes"),
        (truncated_squeezed, "as many styles"),
        (truncated_in_place, "in place"),
        (
            lambda u, centre, psi: (centre + psi * (u - centre)).double(),
            "float32 goes in and float64 comes out",
        ),
    ],
}
