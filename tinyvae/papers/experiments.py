"""What each figure and table of the papers needs: its trainings, and what is made of them.

An experiment is a function that names its plans and one that draws and writes from the runs; ``EXPERIMENTS`` lists
them. Runs that several figures share have one name, and so one folder.
"""

from tinyvae.papers import aevb, colour, grammar_vae, iwae, pictures
from tinyvae.papers.report import FREY, MNIST, Experiment

EXPERIMENTS = {
    "aevb-mnist": Experiment("AEVB, Figure 2: the bound on MNIST", aevb.aevb_mnist_plans, aevb.write_aevb, False),
    "aevb-frey": Experiment(
        "AEVB, Figure 2: the bound on the Frey faces", aevb.aevb_frey_plans, aevb.write_aevb, False
    ),
    "aevb-frey-map": Experiment(
        "AEVB, Figure 2: the Frey faces with a prior on the weights", aevb.aevb_frey_map_plans, aevb.write_aevb, False
    ),
    "aevb-frey-step-02": Experiment(
        "AEVB, Figure 2: the Frey faces with twice the step", aevb.aevb_frey_step_plans, aevb.write_aevb, False
    ),
    "latent-space": Experiment(
        "the latent space beside t-SNE", pictures.latent_space_plans, pictures.write_latent_space
    ),
    "manifold-mnist": Experiment(
        "AEVB, Figure 4: the manifold of MNIST",
        lambda size: [pictures.two_dimensional(MNIST, size)],
        pictures.write_manifold,
    ),
    "manifold-frey": Experiment(
        "AEVB, Figure 4: the manifold of the Frey faces",
        lambda size: [pictures.two_dimensional(FREY, size)],
        pictures.write_manifold,
    ),
    "vae-vs-iwae": Experiment("IWAE, Table 1: one stochastic layer", iwae.vae_vs_iwae_plans, iwae.write_iwae, False),
    "one-vs-two-layers": Experiment(
        "IWAE, Table 1: one and two stochastic layers", iwae.one_vs_two_plans, iwae.write_iwae, False
    ),
    "cvae": Experiment("the same noise under different labels", pictures.cvae_plans, pictures.write_cvae),
    "samples": Experiment(
        "AEVB, Figure 5: samples as the latent space grows", pictures.samples_plans, pictures.write_samples
    ),
    "photos": Experiment(
        "bits per dimension of photographs, beside a Gaussian and PNG", colour.photos_plans, colour.write_photos
    ),
    "coloured-digits": Experiment(
        "hue and label from the latent means, beside PCA", colour.coloured_digits_plans, colour.write_coloured_digits
    ),
    "grammar-vae": Experiment(
        "the grammar variational autoencoder's expressions, and a search in its latent space",
        grammar_vae.plans,
        grammar_vae.write,
    ),
}
