"""Small pictures of the screens: asked for, developed in a jail of their own, compared with what was approved."""
