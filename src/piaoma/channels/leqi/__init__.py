"""乐企, the direct platform of the State Taxation Administration (国家税务总局).

The enterprise takes numbers and quota beforehand, makes and signs its invoices itself, and uploads them. What is
certain of the platform and what is not stands in docs/channels.md.
"""
