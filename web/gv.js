/* Keeps the click that led here in first-party cookies, fills fields named gv_click and gv_token, and tells both as window.grapevine.
   <script src=".../gv.js" defer data-days="90" data-domain="shop.example"></script> */
(function (d, l) {
  var s = d.currentScript, o = (s && s.dataset) || {}, q = new URLSearchParams(l.search), g = {}, fresh = q.get('gv_token');
  ['gv_click', 'gv_token'].forEach(function (n) {
    var v = q.get(n) || '', m = d.cookie.match('(?:^|; )' + n + '=(\\w*)');
    if (fresh && /^\w{0,64}$/.test(v)) {
      d.cookie = n + '=' + v + '; path=/; max-age=' + (v ? (o.days || 90) * 86400 : 0) + '; SameSite=Lax' +
        (o.domain ? '; domain=' + o.domain : '') + (l.protocol == 'https:' ? '; Secure' : '');
    } else v = m ? m[1] : '';
    g[n] = v;
    d.querySelectorAll('input[name=' + n + ']').forEach(function (i) { i.value = v; });
  });
  window.grapevine = g;
})(document, location);
