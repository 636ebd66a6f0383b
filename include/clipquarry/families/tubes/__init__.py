"""Ground-truth tubes in a package of frames, flow and a pickle: JHMDB, UCF101-24."""
